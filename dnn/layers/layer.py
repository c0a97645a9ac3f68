"""What a layer is: settings, shapes, named parameters, and a forward and a backward over reserved buffers."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np

from backends import Array, Backend, InputError
from dnn.layers.buffers import Buffers, call_weakly
from dnn.random import Key
from dnn.validation.objects import SettingsMeta, SettingsObject
from dnn.validation.settings import Flag, assign, is_text, require

Shape = tuple[int, ...]  # without the batch axis


def _check_text(argument: str, value: Any) -> str:
    """The value if it is printable text; "" for None."""
    require(value is None or is_text(value), argument, value, "a string or None")
    return value or ""


class NotInModel(InputError, AttributeError):
    """A layer that is in no model was used."""

    def __init__(self, layer: "Layer") -> None:
        super().__init__(f"a {type(layer).__name__} layer is in no model yet", "Sequential([...]) around it")


class Layer(SettingsObject, metaclass=SettingsMeta):
    """One step of a network: a frozen dataclass of its settings, and what a model builds from them.

    A subclass declares its settings as fields (``rate: float = 0.5``) and needs no decorator. Checks of a
    value stand in the field's type (``dnn.validation.settings``) or in ``__post_init__``. A subclass may have
    an ``__init__`` instead, and keep each argument as an attribute of the same name. In both cases ``config``
    makes the layer again.

    Life: made by the user; ``build`` by the model, once; ``attach`` to views of the model's flat vectors;
    ``reserve`` for each batch size used; then ``forward`` and ``backward``.

    Args:
        name: in summaries and checkpoints; "" or None: the class's and a number, as in "dense_1", "dense_2".
        trainable: False freezes the layer: its parameters get no update, no penalty and no decay, and
            BatchNormalization uses its running statistics. It is the one setting that may be set at any time.
    Raises InputError: a setting out of range, of any layer; an assignment to another setting.

    Attributes:
        input_shape, output_shape: of one example, once the layer is built.
        value, gradient: of the trained parameters by short name, views of the model's flat vectors.
        state: not trained, but part of what the layer has learned or where it stands (running means,
            how many masks were drawn); saved with the weights. By short name.
    """

    name: Annotated[str, _check_text] = field(default="", kw_only=True)
    trainable: Flag = field(default=True, kw_only=True)

    # ClassVar keeps what is no setting out of the dataclass. A subclass may override it, and ``assign`` sets
    # it for one layer when the layer is made or built.
    examples: ClassVar[tuple[Mapping[str, Any], ...]] = ({},)
    """Settings with which the checks make the layer: first its usual ones, then some that add to them."""
    activation = "linear"  # what the layer does to its last pre-activation; losses ask for it
    factor: ClassVar[float | None] = None
    """All that the layer does is to multiply by this; a first layer's is done while a batch is picked."""
    random: ClassVar[bool] = False  # whether it draws random numbers in training
    uses_batch_statistics: ClassVar[bool] = False
    """Whether the output for one example depends on the other examples of the batch in training."""
    must_precede_trained: ClassVar[bool] = False
    """Whether it passes no gradient back: it must come before all trained layers, and in no other layer."""
    buffers: ClassVar[tuple[str, ...]] = ()
    """Which buffers it uses: "y", of the output shape, and "dx", of the input shape."""
    inner: "ClassVar[tuple[Layer, ...]]" = ()  # the layers that it is made of
    n_categories: ClassVar[int | None] = (
        None  # inputs must be integers in [0, n_categories); None: any numbers
    )
    input_shape: ClassVar[Shape] = ()
    output_shape: ClassVar[Shape] = ()
    value: ClassVar[Mapping[str, Array]] = {}
    gradient: ClassVar[Mapping[str, Array]] = {}
    state: ClassVar[Mapping[str, Array]] = {}
    _backend: ClassVar[Backend | None] = None

    def __init__(self, name: str | None = None, trainable: bool = True) -> None:
        """For the ``__init__`` of a subclass; without one, both are keywords."""
        assign(self, name=name, trainable=trainable)
        self.__post_init__()

    @property
    def frozen_values(self) -> Mapping[str, Array]:
        """The parameters that training leaves as they are, by short name."""
        return {} if self.trainable else self.value

    @property
    def backend(self) -> Backend:
        """Of the model that the layer is in. Raises InputError: it is in none."""
        if self._backend is None:
            raise NotInModel(self)
        return self._backend

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Explain why an attribute that ``build`` makes is missing."""
            made_by_build = name == "backend" or (name.startswith("_") and not name.startswith("__"))
            if made_by_build and self._backend is None:
                raise NotInModel(self)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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
        assign(self, name=self.name or name, input_shape=tuple(input_shape))
        assign(self, output_shape=self.shape_after(self.input_shape), _backend=backend)
        self._first = first
        self._seed = seed
        self._index = index
        self._buffers = Buffers(call_weakly(self.make_buffers))
        state = {}
        for short, start in self.initial_state().items():
            dtype = backend.dtype_name if start.dtype.kind == "f" else start.dtype
            state[short] = backend.from_host(start.astype(dtype))
        assign(self, state=state)
        self.bind(backend)

    def shape_after(self, input_shape: Shape) -> Shape:
        """The output's shape, by default the input's. Raises InputError: the input does not fit."""
        return input_shape

    def input_error(self, what: str, expected: str) -> InputError:
        """What to raise where this layer got, or does, what it should not."""
        return InputError(f"layer {self.name!r} ({type(self).__name__}) {what}, expected {expected}")

    def require_axes(self, shape: Shape, expected: str, *counts: int) -> None:
        """Refuse examples whose number of axes is none of these."""
        if len(shape) not in counts:
            raise self.input_error(f"got examples of shape {shape}", expected)

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
        assign(self, value=dict(value), gradient=dict(gradient))

    def reserve(self, batch: int, training: bool) -> None:
        """Make this thread's buffers for this batch size. Raises InputError: the layer cannot work on it."""
        self._buffers.reserve(batch, training)
        for layer in self.inner:
            layer.reserve(batch, training)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        """Arrays whose first axis is the batch, by name; those for backward only when training.
        Here what ``buffers`` names; "dx" is None where nobody asks for it.
        """
        shapes = {"y": self.output_shape, "dx": self.input_shape if training and not self._first else None}
        kept = ((name, shapes[name]) for name in self.buffers)
        return {name: None if shape is None else self.backend.zeros((batch, *shape)) for name, shape in kept}

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
        """z of ``y = f(z)``, where f is the layer's activation.

        A loss that contains f, as cross-entropy contains softmax, takes z of the last layer instead of y, and
        gives dL/dz to ``backward_logits`` instead of dL/dy to ``backward``. So a layer with an activation
        (``Activated``) makes y in ``forward`` from the z of this method; in any other layer f is linear, and
        z is y.
        """
        return self.forward(x, training=training)

    def backward_logits(self, dz: Array) -> Array | None:
        """``backward`` from dL/dz of the last ``forward_logits``."""
        return self.backward(dz)
