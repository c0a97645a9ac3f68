"""What a layer is: shapes, named parameters, a forward and a backward over buffers made beforehand."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import shown
from dnn.layers.buffers import Buffers
from dnn.random import Key
from dnn.validation.objects import Closed, Described
from dnn.validation.settings import is_text, require, require_bool

Shape = tuple[int, ...]  # without the batch axis


class Layer(Described, Closed):
    """One step of a network.

    Life: made by the user; ``build`` by the model, once; ``attach`` to views of the model's flat vectors;
    ``reserve`` for each batch size used; then ``forward`` and ``backward``. A subclass keeps each
    argument of its constructor as an attribute of the same name, from which ``config`` makes the layer again.

    Args:
        name: in summaries and checkpoints; None: its class's and a number, as in "dense_1", "dense_2", ...
        trainable: False freezes the layer: its parameters get no update, no penalty and no decay, and
            BatchNormalization uses its running statistics. It may be set at any time.
    Raises InputError: a setting out of range, of any layer.

    Attributes:
        value, gradient: of the trained parameters by short name, views of the model's flat vectors.
        state: not trained, but part of what the layer has learned or where it stands (running means,
            how many masks were drawn); saved with the weights. By short name.
    """

    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """Settings with which the checks make the layer: first its usual ones, then some that add to them."""
    activation: str = "linear"  # what the layer does to its last pre-activation; losses ask for it
    factor: float | None = None
    """All that the layer does is to multiply by this; a first layer's is done while a batch is picked."""
    random: bool = False  # whether it draws random numbers in training
    mixes: bool = False  # whether in training its output for one example depends on all examples of the batch
    outermost: ClassVar[bool] = False
    """Whether it passes no gradient back, so that it stands before what is trained, and within no layer."""
    keeps: ClassVar[tuple[str, ...]] = ()
    """Of its buffers "y", of the output's shape, and "dx", of the input's."""

    inner: "tuple[Layer, ...]" = ()  # the layers that it is made of
    below: int | None = None  # what it takes are whole numbers from 0, below this; None: any numbers

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        require(name is None or is_text(name), "name", name, "a string or None")
        self.name = name or ""
        self.input_shape: Shape = ()
        self.output_shape: Shape = ()
        self.value: dict[str, Array] = {}
        self.gradient: dict[str, Array] = {}
        self.state: dict[str, Array] = {}
        self._trainable = require_bool("trainable", trainable)
        self._backend: Backend | None = None
        self._buffers = Buffers(lambda batch, training: self.make_buffers(batch, training))

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer, or any of those that it is made of."""
        return any(layer.trainable for layer in self.inner) if self.inner else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = require_bool("trainable", value)
        for layer in self.inner:
            layer.trainable = value

    @property
    def frozen(self) -> Mapping[str, Array]:
        """The parameters that training leaves as they are, by short name."""
        return {} if self._trainable else self.value

    def __setattr__(self, name: str, value: Any) -> None:
        if self._closed and self._backend is not None and name != "trainable" and not name.startswith("_"):
            got = f"layer {self.name!r} is in a model, where its {name} cannot be changed to {shown(value)}"
            raise InputError(f"{got}; make a new layer")
        super().__setattr__(name, value)

    @property
    def backend(self) -> Backend:
        """Of the model that the layer is in. Raises InputError: it is in none."""
        if self._backend is None:
            raise InputError(f"layer {self.name!r} is in no model yet, expected Sequential([...]) around it")
        return self._backend

    def build(
        self, input_shape: Shape, backend: Backend, name: str, first: bool, *, seed: int = 0, index: int = 0
    ) -> None:
        """Fix the shapes and bind the kernels.

        Args:
            input_shape: of one example.
            name: used unless the user gave one.
            first: nothing before this layer is trained, so it computes no input gradient.
            seed: of the model; index: the layer's place in it. They key the layer's random streams.
        Raises InputError: the layer is in a model already, or the input shape does not fit.
        """
        if self._backend is not None:
            got = f"layer {self.name!r} is in a model already"
            raise InputError(f"{got}; expected a new layer for each model")
        closed, self._closed = self._closed, False  # what a layer makes in bind is its own
        self.name = self.name or name
        self.input_shape = tuple(input_shape)
        self.output_shape = self.shape_after(self.input_shape)
        self._backend = backend
        self._first = first
        self._seed, self._index = seed, index
        for short, start in self.initial_state().items():
            dtype = backend.dtype_name if start.dtype.kind == "f" else start.dtype
            self.state[short] = backend.from_host(start.astype(dtype))
        self.bind(backend)
        self._closed = closed

    def shape_after(self, input_shape: Shape) -> Shape:
        """The output's shape, by default the input's. Raises InputError: the input does not fit."""
        return input_shape

    def refused(self, what: str, expected: str) -> InputError:
        """What to raise where this layer got, or does, what it should not."""
        return InputError(f"layer {self.name!r} ({type(self).__name__}) {what}, expected {expected}")

    def require_axes(self, shape: Shape, expected: str, *counts: int) -> None:
        """Refuse examples whose number of axes is none of these."""
        if len(shape) not in counts:
            raise self.refused(f"got examples of shape {shape}", expected)

    def bind(self, backend: Backend) -> None:
        """Ask the backend for the kernels."""

    def parameter_shapes(self) -> dict[str, Shape]:
        """The trained parameters: short name ("W") -> shape."""
        return {}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        """The parameters' initial values as float64 host arrays, drawn from the stream ``key``."""
        return {}

    def initial_state(self) -> dict[str, np.ndarray]:
        """What ``state`` starts with, as new host arrays: float64 (becomes the backend's) or int64."""
        return {}

    def attach(self, value: Mapping[str, Array], gradient: Mapping[str, Array]) -> None:
        """Receive the views of this layer's parameters and gradients, by short name."""
        vars(self).update(value=dict(value), gradient=dict(gradient))

    def reserve(self, batch: int, training: bool) -> None:
        """Make this thread's buffers for this batch size. Raises InputError: the layer cannot work on it."""
        self._buffers.reserve(batch, training)
        for layer in self.inner:
            layer.reserve(batch, training)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        """Arrays whose first axis is the batch, by name; those for backward only when training.
        Here what ``keeps`` names; "dx" is None where nobody asks for it.
        """
        shapes = {"y": self.output_shape, "dx": self.input_shape if training and not self._first else None}
        zeros, kept = self.backend.zeros, ((name, shapes[name]) for name in self.keeps)
        return {name: None if shape is None else zeros((batch, *shape)) for name, shape in kept}

    @abstractmethod
    def forward(self, x: Array, *, training: bool) -> Array:
        """y for x (batch, *input_shape); keeps what backward needs. y is valid until the next call.

        In training layers may be random, take the batch's own statistics, and write their state;
        otherwise they do none of that. x is not written.
        """

    @abstractmethod
    def backward(self, dy: Array) -> Array | None:
        """Given dL/dy of the last forward, in training, write the parameter gradients and return dL/dx.
        dy is overwritten. None: nothing before this layer is trained.
        """

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        """``forward`` without the activation, for a loss that contains it (softmax in cross-entropy)."""
        return self.forward(x, training=training)

    def backward_logits(self, dz: Array) -> Array | None:
        """``backward`` from the gradient with respect to what ``forward_logits`` returned."""
        return self.backward(dz)
