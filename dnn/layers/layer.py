"""Layer: settings, shapes and named parameters, with forward and backward on reserved buffers."""

from abc import ABC, abstractmethod
from dataclasses import KW_ONLY
from inspect import signature
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from backends import Array, Backend, InputError
from backends.errors import MissingAttribute, short_repr
from dnn.keras_names import Uncallable, is_ours
from dnn.layers.buffers import Arrays as Arrays
from dnn.layers.buffers import Buffers
from dnn.random import Key
from dnn.settings.base import Settings, json_value, layer_from_config
from dnn.settings.checks import Flag, is_text, require
from dnn.typing import DeviceArrays as DeviceArrays
from dnn.typing import HostArrays, Json
from dnn.typing import Shape as Shape

NO_ARRAYS: DeviceArrays = MappingProxyType({})


def _check_name(argument: str, value: Any) -> str:
    """Return the value if it is printable text without dots, "" for None. Raises InputError."""
    fits = value is None or (is_text(value) and "." not in value)
    require(fits, argument, value, "a string without dots, or None", "parameters are named LAYER.W")
    return value or ""


class LayerAttributes(Uncallable):
    """Base of layers. A class may override an attribute, or an object sets it once.

    Attributes:
        backend: of the model; missing until the model builds the layer.
        input_shape, output_shape: shapes of one example, once the layer is built.
        value, gradient: trained parameters and their gradients by short name; views of the flat vectors.
        state: arrays by short name that are saved with the weights but not trained, such as running means
            or the number of masks drawn.
        activation: applied last; a loss may contain it and take its input z, the logits, instead of y.
        random: whether the layer draws random numbers in training.
        uses_batch_statistics: whether the output for one example depends on the others in training.
        inner: the layers of a container.
        n_categories: inputs must be integers in [0, n_categories); None: any numbers.
    """

    explained_as = "layer"
    backend: Backend
    input_shape: Shape = ()
    output_shape: Shape = ()
    value = gradient = state = NO_ARRAYS
    activation = "linear"
    random = False
    uses_batch_statistics = False
    n_categories: int | None = None
    inner: "tuple[Layer, ...]" = ()

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Raise an error that explains why an attribute set by ``build`` is missing."""
            is_set_by_build = name == "backend" or (name.startswith("_") and not name.startswith("__"))
            if is_set_by_build and "backend" not in vars(self):
                got = f"a {type(self).__name__} layer is in no model yet"
                cure = "model.reserve(batch_size, training=True) precedes its forward and backward"
                raise MissingAttribute(got, "Sequential([...]) around it", cure)
            return super().__getattr__(name)


class Layer(LayerAttributes, Settings, ABC):
    """One step of a network: settings, from which a model builds the layer.

    A subclass declares its settings as fields (``rate: float = 0.5``) and needs no decorator. The type of a
    field may contain checks of its value (``dnn.settings.checks``); further checks belong in
    ``__post_init__``. A subclass may have an ``__init__`` instead and store each argument as an attribute of
    the same name. In both cases ``config`` returns the settings for an equal layer.

    Order of calls: the user creates the layer. The model calls ``build`` once, then ``attach`` with views of
    its flat vectors, ``reserve`` for each batch size, and finally ``forward`` and ``backward``.

    Args:
        name: in summaries and checkpoints, without dots; "" or None: class and number, as in "dense_1",
            "dense_2".
        trainable: False freezes the layer: its parameters get no update, no penalty and no decay, and
            BatchNormalization uses its running statistics. Only this setting may change later.
    Raises InputError: a setting out of range, or an assignment to a setting other than ``trainable``.
    """

    _: KW_ONLY
    name: Annotated[str, _check_name] = ""
    trainable: Flag = True

    by_value = False
    must_precede_trained = False
    """True if backward gives no dx. Layers before it cannot be trained, and containers cannot hold it."""
    buffers: ClassVar[tuple[str, ...]] = ()
    """Buffers it needs: "y" of the output shape, "dx" of the input shape."""

    def __init__(self, name: str = "", trainable: bool = True) -> None:
        """Initialise a subclass that has an ``__init__``; for other subclasses both are keyword arguments."""
        self.name = name
        self.trainable = trainable
        self.__post_init__()

    @classmethod
    def check_arguments(cls, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        super().check_arguments(arguments, keywords)
        if cls.__init__ is Layer.__init__:  # else the data_format of Keras would be the name
            cls.check_positions(arguments, ())

    def require_settable(self, name: str, value: Any) -> None:
        """Raise InputError for a setting other than ``trainable`` that has a value.

        A class outside dnn may have further attributes. If it has its own ``__init__``, all may change.
        """
        cls = type(self)
        is_public = is_ours(cls) and not name.startswith("_")
        if name == "trainable" or not (is_public or name in vars(cls).get("__dataclass_fields__", ())):
            return
        if name in vars(self):
            got = f"{name} of a {cls.__name__} cannot be changed to {short_repr(value)}"
            raise InputError(got, cure="make a new layer")
        if name != "backend" and not hasattr(cls, name):
            super().require_settable(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a new layer with these settings, in no model."""
        return layer_from_config, (type(self), self.config())

    def config(self) -> Json:
        """Return the settings as JSON values; ``layer_from_config`` creates an equal layer from them."""
        names = dict.fromkeys(("name", *signature(type(self)).parameters, "trainable"))
        return {name: json_value(getattr(self, name)) for name in names}

    @property
    def frozen_values(self) -> DeviceArrays:
        """Parameters that training does not change, by short name."""
        return {} if self.trainable else self.value

    def build(
        self,
        input_shape: Shape,
        backend: Backend,
        name: str,
        needs_dx: bool,
        *,
        seed: int = 0,
        index: int = 0,
    ) -> None:
        """Fix the name and the shapes, and make the state on the backend.

        Args:
            input_shape: of one example.
            name: used unless the user gave one.
            needs_dx: whether backward returns dx; False if no layer before this one is trained.
            seed: of the model; it keys the layer's random streams, together with ``index``.
            index: position of the layer in the model.
        Raises InputError: the layer is in a model already, or the input shape does not fit.
        """
        self.require_unused()
        self.complete("name", name)
        if not {"input_shape", "output_shape"} <= vars(self).keys():  # a container has set them
            self.set_shape(input_shape)
        self.backend = backend
        self._needs_dx = needs_dx
        self._seed = seed
        self._index = index
        self._buffers = Buffers()
        self.prepare(backend)
        self.state = self.make_state()

    def require_unused(self) -> None:
        """Raise InputError if the layer is in a model already."""
        if "backend" in vars(self):
            got = f"layer {self.name!r} is in a model already"
            cure = "copy.deepcopy(layer) is one with new weights; docs/guide/fine-tuning.md copies weights"
            raise InputError(got, "a new layer for each model", cure)

    def set_shape(self, input_shape: Shape) -> None:
        """Set the shapes of this layer and of its inner layers, once. Raises as ``shape_after``."""
        self.input_shape = tuple(input_shape)
        self.output_shape = self.shape_after(self.input_shape)

    def shape_after(self, input_shape: Shape) -> Shape:
        """Return the output shape of one example, by default the input shape.

        Raises InputError: the layer cannot work on this input shape.
        """
        return input_shape

    def input_error(self, what: str, expected: str) -> InputError:
        """Return an InputError that names this layer, what it got, and what was expected."""
        return InputError(f"layer {self.name!r} ({type(self).__name__}) {what}", expected)

    def require_axes(self, shape: Shape, expected: str, *counts: int) -> None:
        """Raise InputError unless the rank of ``shape`` is one of ``counts``."""
        if len(shape) not in counts:
            raise self.input_error(f"got examples of shape {shape}", expected)

    def prepare(self, backend: Backend) -> None:
        """Compute what depends on the backend and the shapes; called once, by ``build``."""

    def parameter_shapes(self) -> dict[str, Shape]:
        """Return the shapes of the trained parameters by short name, such as "W"."""
        return {}

    def initial_values(self, key: Key) -> HostArrays:
        """Return initial values as float64 host arrays, drawn from the random stream ``key``."""
        return {}

    def make_state(self) -> DeviceArrays:
        """Return the arrays of ``initial_state`` on the device."""
        backend = self.backend
        state = {}
        for short, start in self.initial_state().items():
            dtype = backend.dtype_name if start.dtype.kind == "f" else start.dtype
            state[short] = backend.from_host(start.astype(dtype))
        return state

    def initial_state(self) -> HostArrays:
        """Return the initial ``state`` as new host arrays, int64 or float64 (cast to the backend's dtype)."""
        return {}

    def attach(self, value: DeviceArrays, gradient: DeviceArrays) -> None:
        """Store the views of this layer's parameters and gradients, by short name."""
        self.value = dict(value)
        self.gradient = dict(gradient)

    def reserve(self, batch_size: int, training: bool) -> None:
        """Allocate this thread's buffers for a batch size. Raises InputError: the size is not supported."""
        self._buffers.reserve(batch_size, training, self.make_buffers)
        for layer in self.inner:
            layer.reserve(batch_size, training)

    def set_first_row(self, row: int) -> None:
        """Draw the random numbers of the batch's rows from ``row`` on: x is a block of the batch."""
        for layer in self.inner:
            if layer.random:
                layer.set_first_row(row)

    def make_buffers(self, batch_size: int, training: bool) -> Arrays:
        """Return arrays with the batch as first axis, by name; those for backward only in training.

        This method allocates the arrays that ``buffers`` names; "dx" is None if no input gradient is needed.
        """
        shapes = {"y": self.output_shape}
        if training and self._needs_dx:
            shapes["dx"] = self.input_shape
        zeros = self.backend.zeros
        return {name: zeros((batch_size, *shapes[name])) if name in shapes else None for name in self.buffers}

    @abstractmethod
    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y (batch, *output_shape) for x (batch, *input_shape), and store what backward needs.

        y is valid until the next call. Only in training may a layer be random, use the statistics of the
        batch, or change its state. x is not changed.
        """

    @abstractmethod
    def backward(self, dy: Array) -> Array | None:
        """Write the parameter gradients and return dL/dx, given dL/dy of the last forward in training.

        dy may be overwritten. A layer with parameters returns None if no layer before it is trained, so the
        layers before it are not called.
        """

    def hand_over_activation(self) -> str:
        """Leave out the activation from now on and return its name; "linear" if the layer keeps it."""
        return "linear"
