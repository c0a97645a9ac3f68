"""Block, Parallel and Residual: layers that contain layers; and LAYERS, the table of all layers.

A network is a Block. The name of an inner parameter contains those of its containers, as in
"block_1.dense_1.W". Inner layers have their own random streams; their seed is derived from the model's seed
and the position of the container.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, field
from itertools import accumulate, pairwise
from typing import Annotated, Any, ClassVar, TypeVar

from backends import Array, Backend, InputError
from backends.errors import reraise
from backends.table import Table
from dnn.layers.activated import Activation
from dnn.layers.layer import DeviceArrays, Layer, Shape
from dnn.random import Key, stream_key
from dnn.settings.base import layer_from_config
from dnn.settings.checks import look_up, one_of, require, require_list, require_same_call
from dnn.typing import HostArrays

T = TypeVar("T")
MODEL_INDEX = -1  # index of the container that is the model itself; its streams use the model's seed

LAYERS: Table[type[Layer]] = Table("layer", {})
"""Every layer by class name. Add your own with ``LAYERS.add("Mine", Mine)``."""


def layer_from(description: Mapping[str, Any]) -> Layer:
    """Return a new layer from a dict of "type", the class name, and the ``config``. Raises InputError."""
    arguments = dict(description)
    layer_class = look_up("layer type", str(arguments.pop("type", None)), LAYERS)
    with reraise(TypeError, "a layer is described wrongly:"):
        layer: Layer = layer_from_config(layer_class, arguments)
    return layer


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Return the name of each layer, by default class and count. Raises InputError: two equal names."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        usual = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()  # as in "max_pooling2d"
        counts[usual] += 1
        names.append(layer.name or f"{usual}_{counts[usual]}")
    if len(set(names)) < len(names):
        raise InputError(f"layers are named {names}", "each name once")
    return names


@contextmanager
def undone_on_error(layers: Any) -> Iterator[None]:
    """Undo all changes to new layers, and to the layers in them, if an error occurs in this context."""
    before: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
    rest = [layers]
    while rest:
        thing = rest.pop()
        attributes = vars(thing) if isinstance(thing, Layer) else {}
        is_new = isinstance(thing, (Layer, list, tuple)) and "backend" not in attributes
        if is_new and id(thing) not in before:
            before[id(thing)] = attributes, dict(attributes)
            rest += getattr(thing, "inner", thing)
    try:
        yield
    except BaseException:
        for attributes, old in before.values():
            attributes.clear()
            attributes.update(old)
        raise


def _check_layers(argument: str, value: Any) -> tuple[Layer, ...]:
    """Return new layers. Raises InputError: no list of layers, or one that is used already.

    Each may be given as a Layer, as a list of layers, which becomes a Block, or as a dict from a checkpoint.
    """
    require_list(argument, value)
    if not value:
        raise InputError(f"{argument} is empty", "at least one layer")
    entries = [layer_from(x) if isinstance(x, Mapping) else x for x in value]
    with reraise(RecursionError, f"{argument} is a list in itself", "layers, and lists of layers"):
        layers = tuple(Block(x) if isinstance(x, (list, tuple)) else x for x in entries)
    expected = "a Layer such as Dense(10); the layers of a part are a list, added as *part"
    for i, layer in enumerate(layers):
        require(isinstance(layer, Layer), f"{argument}[{i}]", layer, expected)
        for name in ("forward", "backward"):
            require_same_call(layer, name, vars(Layer)[name])
        layer.require_unused()
        if layer in layers[:i]:
            got = f"layer {layer.name or type(layer).__name__!r} is in the model already"
            raise InputError(got, cure="expected a new layer for each place")
    return layers


Layers = Annotated[Sequence[Layer], _check_layers]


class Container(Layer):
    """Base: a layer that contains other layers, ``inner``. Setting ``trainable`` sets it for all of them."""

    argument = "layers"  # name of the setting with the layers
    is_chain = True  # whether the input of each layer is the output of the previous one

    def __post_init__(self) -> None:
        super().__post_init__()
        self.inner = getattr(self, self.argument)
        names = layer_names(self.inner)
        self.random = any(layer.random for layer in self.inner)
        self.uses_batch_statistics = any(layer.uses_batch_statistics for layer in self.inner)
        if not self._trainable:
            self.trainable = False
        for layer, usual in zip(self.inner, names, strict=True):
            layer.complete("name", usual)

    @property  # type: ignore[misc]
    def trainable(self) -> bool:
        """Whether any of the layers is trainable."""
        return any(layer.trainable for layer in self.inner) if self.inner else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in self.inner:
            layer.trainable = value

    def join_names(self, dicts: Iterable[Mapping[str, T]]) -> dict[str, T]:
        """Merge one dict per layer; keys like "W" become "dense_1.W". Raises InputError: two equal keys."""
        pairs = zip(self.inner, dicts, strict=True)
        items = [(f"{layer.name}.{short}", v) for layer, named in pairs for short, v in named.items()]
        merged = dict(items)
        if len(merged) < len(items):
            names = [name for name, _ in items]
            raise InputError(f"parameters are named {names}", "each name once", "rename a layer")
        return merged

    @property
    def frozen_values(self) -> DeviceArrays:
        return self.join_names(layer.frozen_values for layer in self.inner)

    def set_shape(self, input_shape: Shape) -> None:
        super().set_shape(input_shape)
        for layer in self.inner:
            layer.set_shape(input_shape)
            if self.is_chain:
                input_shape = layer.output_shape

    def prepare(self, backend: Backend) -> None:
        high, low = stream_key(self._seed, type(self).__name__, self._index)
        is_model = self._index == MODEL_INDEX
        self._streams = self._seed if is_model else high << 32 | low
        needs_dx = self._needs_dx
        for i, layer in enumerate(self.inner):
            is_late = needs_dx or not is_model or (i and layer.n_categories)
            if layer.must_precede_trained and is_late:
                expected = "it directly in the model, before all trained layers; Embedding as the first layer"
                raise layer.input_error("is in the wrong place", expected)
            layer.build(layer.input_shape, backend, layer.name, needs_dx, seed=self._streams, index=i)
            needs_dx = needs_dx or bool(self.is_chain and layer.parameter_shapes())

    def make_state(self) -> DeviceArrays:
        return self.join_names(layer.state for layer in self.inner)

    def parameter_shapes(self) -> dict[str, Shape]:
        return self.join_names(layer.parameter_shapes() for layer in self.inner)

    def initial_values(self, key: Key = (0, 0)) -> HostArrays:
        """Return the initial values of the layers, drawn from their own streams instead of ``key``."""
        keys = (stream_key(self._streams, "weights", i) for i in range(len(self.inner)))
        return self.join_names(x.initial_values(k) for x, k in zip(self.inner, keys, strict=True))

    def attach(self, value: DeviceArrays, gradient: DeviceArrays) -> None:
        super().attach(value, gradient)
        for layer in self.inner:
            shorts = list(layer.parameter_shapes())
            layer.attach(*({n: v[f"{layer.name}.{n}"] for n in shorts} for v in (value, gradient)))


class Block(Container):
    """New layers in sequence, as one layer.

    >>> from dnn import Dense
    >>> Block([Dense(8, "relu"), Dense(4)]).shape_after((3,))
    (4,)
    """

    layers: Layers

    examples = ({"layers": [{"type": "Dense", "units": 24}, {"type": "LayerNormalization"}]},)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.activation = self.inner[-1].activation

    def shape_after(self, input_shape: Shape) -> Shape:
        for layer in self.inner:
            input_shape = layer.shape_after(input_shape)
        return input_shape

    def forward(self, x: Array, *, training: bool = False) -> Array:
        for layer in self.inner:
            x = layer.forward(x, training=training)
        return x

    def backward(self, dy: Array) -> Array | None:
        """Call ``backward`` of the layers in reverse order: the chain rule."""
        gradient: Array | None = dy
        for layer in reversed(self.inner):
            if gradient is None:  # no layer before this one is trained
                break
            gradient = layer.backward(gradient)
        return gradient

    def hand_over_activation(self) -> str:
        return self.inner[-1].hand_over_activation()


class Parallel(Container):
    """Branches with the same input; their outputs are concatenated along the last axis, or added.

    Args:
        branches: new layers, or lists of layers in sequence.
        merge: "concatenate" or "add".

    >>> from dnn import Dense
    >>> Parallel([Dense(3), [Dense(8, "relu"), Dense(2)]]).shape_after((4,))
    (5,)
    """

    branches: Layers
    _: KW_ONLY
    merge: Annotated[str, one_of(("concatenate", "add"))] = "concatenate"

    _pair = ({"type": "Dense", "units": 24}, [{"type": "Dense", "units": 5}, {"type": "Dense", "units": 24}])
    examples: ClassVar[Any] = ({"branches": _pair}, {"branches": _pair, "merge": "add"})
    argument = "branches"
    is_chain = False
    buffers = "y", "dx"

    def shape_after(self, input_shape: Shape) -> Shape:
        adds = self.merge == "add"
        shapes = [branch.shape_after(input_shape) for branch in self.inner]
        if len({s if adds else s[:-1] for s in shapes}) > 1:
            equal = "equal shapes" if adds else "shapes that are equal except for the last axis"
            raise self.input_error(f"merges outputs of the shapes {shapes}", equal)
        ends = [*accumulate((s[-1] for s in shapes), initial=0)]
        # The columns of the output, along its last axis, that each branch writes.
        self._columns = [slice(None) if adds else slice(*ends) for ends in pairwise(ends)]
        return shapes[0] if adds else (*shapes[0][:-1], ends[-1])

    def forward(self, x: Array, *, training: bool = False) -> Array:
        y = self._buffers(x).y
        for i, (branch, columns) in enumerate(zip(self.inner, self._columns, strict=True)):
            output = branch.forward(x, training=training)
            y[..., columns] = y + output if i and self.merge == "add" else output
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx = sum of the branches' gradients, each from its columns of dy, or from all of dy for "add"."""
        buffers = self._buffers(dy)
        for i, (branch, columns) in enumerate(zip(self.inner, self._columns, strict=True)):
            branch_dy = dy[..., columns] * 1.0  # layers may overwrite it
            inner = branch.backward(branch_dy)
            if buffers.dx is not None:
                buffers.dx[...] = buffers.dx + inner if i else inner
        return buffers.dx


class Residual(Parallel):
    """``y = x + f(x)``: f is new layers in sequence that preserve the shape (He et al. 2016)."""

    branches: Layers = field(init=False)
    merge: str = field(default="add", init=False)
    layers: Layers = field()

    examples = ({"layers": [{"type": "Dense", "units": 24}]},)

    def __post_init__(self) -> None:
        self.branches = Activation("linear", name="shortcut"), Block(self.layers, name="block")
        super().__post_init__()
