"""Layers made of layers: Block, Parallel and Residual. A whole network is a Block. The table of all layers.

An inner parameter is named after all layers around it, as in "block_1.dense_1.W". Inner layers draw from
random streams of their own, whose seed follows from the model's and from the container's place.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, field
from itertools import pairwise
from typing import Annotated, Any, ClassVar, TypeVar

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import reraise
from backends.table import Table
from dnn.layers.activated import Activation
from dnn.layers.layer import Layer, Shape
from dnn.random import Key, stream_key
from dnn.validation.objects import layer_from_config
from dnn.validation.settings import assign, look_up, one_of, require, require_list

T = TypeVar("T")
MODEL_INDEX = -1  # the index of the container that is the model itself: its streams are the model's

LAYERS: Table[type[Layer]] = Table("layer", {})
"""Every layer by its class's name; one of your own: ``LAYERS.add("Mine", Mine)``."""


def layer_from(description: Mapping[str, Any]) -> Layer:
    """A new layer from its class's name, "type", and its ``config``; InputError if they do not fit."""
    arguments = dict(description)
    layer_class = look_up("layer type", str(arguments.pop("type", None)), LAYERS)
    with reraise(TypeError, "a layer is described wrongly:"):
        made: Layer = layer_from_config(layer_class, arguments)
    return made


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Each layer's own name, else its class and how many of it there are so far; InputError: equal ones."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        usual = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()  # as in "max_pooling2d"
        counts[usual] += 1
        names.append(layer.name or f"{usual}_{counts[usual]}")
    if len(set(names)) < len(names):
        raise InputError(f"layers are named {names}, expected each name once")
    return names


class Container(Layer):
    """Base: a layer made of others, which are ``inner``. To set ``trainable`` sets it for each of them.
    In a layer's place may be a list of layers, which becomes a Block, or what a checkpoint says of a layer.
    """

    argument: ClassVar[str] = "layers"  # the setting that holds the layers
    is_chain: ClassVar[bool] = True  # whether each layer takes what the one before returns
    n_folded: ClassVar[int] = 0
    """How many of the first layers are applied while batches are picked: 1 in a model that begins by scaling.
    They do not count: the others' random streams are the same without them."""

    def __post_init__(self) -> None:
        super().__post_init__()
        argument = self.argument
        given = getattr(self, argument)
        require_list(argument, given)
        if not given:
            raise InputError(f"{argument} is empty, expected at least one layer")
        made = [layer_from(x) if isinstance(x, Mapping) else x for x in given]
        with reraise(RecursionError, f"{argument} is a list in itself", "layers, and lists of layers"):
            inner = tuple(Block(x) if isinstance(x, (list, tuple)) else x for x in made)
        for i, layer in enumerate(inner):
            require(isinstance(layer, Layer), f"{argument}[{i}]", layer, "a Layer such as Dense(10)")
        for layer, usual in zip(inner, layer_names(inner), strict=True):
            assign(layer, name=layer.name or usual)
        assign(self, **{argument: inner}, inner=inner)
        assign(
            self,
            random=any(x.random for x in inner),
            uses_batch_statistics=any(x.uses_batch_statistics for x in inner),
        )
        if not self._trainable:
            self.trainable = False

    @property  # type: ignore[misc]
    def trainable(self) -> bool:
        """Whether training changes any of the layers."""
        return any(layer.trainable for layer in self.inner) if self.inner else self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = value
        for layer in self.inner:
            layer.trainable = value

    def join_names(self, parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
        """What each layer has by short name ("W"), by the layer's name and that ("dense_1.W")."""
        pairs = zip(self.inner, parts, strict=True)
        return {f"{layer.name}.{short}": v for layer, part in pairs for short, v in part.items()}

    @property
    def frozen_values(self) -> Mapping[str, Array]:
        # Asked for in each update, so without ``named``.
        return {f"{x.name}.{short}": v for x in self.inner for short, v in x.frozen_values.items()}

    def bind(self, backend: Backend) -> None:
        high, low = stream_key(self._seed, type(self).__name__, self._index)
        whole = self._index == MODEL_INDEX
        self._streams = self._seed if whole else high << 32 | low
        assign(self, n_folded=int(whole and len(self.inner) > 1 and self.inner[0].factor is not None))
        first = self._first
        for i, layer in enumerate(self.inner, -self.n_folded):
            if layer.must_precede_trained and not whole:
                raise layer.input_error(f"stands within {self.name!r}", "it before that, in the model itself")
            layer.build(layer.input_shape, backend, layer.name, first, seed=self._streams, index=i)
            first = first and not (self.is_chain and layer.parameter_shapes())
        assign(self, state=self.join_names(layer.state for layer in self.inner))

    def parameter_shapes(self) -> dict[str, Shape]:
        return self.join_names(layer.parameter_shapes() for layer in self.inner)

    def initial_values(self, key: Key = (0, 0)) -> dict[str, np.ndarray]:
        """Those of the layers, from their own streams instead of ``key``."""
        numbered = enumerate(self.inner, -self.n_folded)
        return self.join_names(x.initial_values(stream_key(self._streams, "weights", i)) for i, x in numbered)

    def attach(self, value: Mapping[str, Array], gradient: Mapping[str, Array]) -> None:
        super().attach(value, gradient)
        for layer in self.inner:
            shorts = list(layer.parameter_shapes())
            layer.attach(*({n: v[f"{layer.name}.{n}"] for n in shorts} for v in (value, gradient)))


class Block(Container):
    """New layers one after another, as one.

    >>> from dnn import Dense
    >>> Block([Dense(8, "relu"), Dense(4)]).shape_after((3,))
    (4,)
    """

    layers: Sequence[Layer]

    examples = ({"layers": [{"type": "Dense", "units": 24}, {"type": "LayerNormalization"}]},)

    def __post_init__(self) -> None:
        super().__post_init__()
        assign(self, activation=self.inner[-1].activation)

    def shape_after(self, input_shape: Shape) -> Shape:
        for layer in self.inner:
            assign(layer, input_shape=input_shape)
            input_shape = layer.shape_after(input_shape)
        return input_shape

    def forward(self, x: Array, *, training: bool) -> Array:
        for layer in self.inner[self.n_folded :]:
            x = layer.forward(x, training=training)
        return x

    def backward(self, dy: Array) -> Array | None:
        """The chain rule."""
        return _backward(self.inner, dy)

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        for layer in self.inner[self.n_folded : -1]:
            x = layer.forward(x, training=training)
        return self.inner[-1].forward_logits(x, training=training)

    def backward_logits(self, dz: Array) -> Array | None:
        return _backward(self.inner[:-1], self.inner[-1].backward_logits(dz))


def _backward(layers: Sequence[Layer], gradient: Array | None) -> Array | None:
    """dL/dx of layers in a row from dL/dy; None: nothing before them is trained."""
    for layer in reversed(layers):
        if gradient is None:
            break
        gradient = layer.backward(gradient)
    return gradient


class Parallel(Container):
    """Branches that all take x, and whose outputs are joined along the last axis, or with merge="add" added.

    A branch is a new layer, or a list of layers in a row.

    >>> from dnn import Dense
    >>> Parallel([Dense(3), [Dense(8, "relu"), Dense(2)]]).shape_after((4,))
    (5,)
    """

    branches: Sequence[Layer | Sequence[Layer]]
    _: KW_ONLY
    merge: Annotated[str, one_of(("concatenate", "add"))] = "concatenate"

    _pair = ({"type": "Dense", "units": 24}, [{"type": "Dense", "units": 5}, {"type": "Dense", "units": 24}])
    examples: ClassVar[Any] = ({"branches": _pair}, {"branches": _pair, "merge": "add"})
    argument = "branches"
    is_chain = False
    buffers = "y", "dx"

    def shape_after(self, input_shape: Shape) -> Shape:
        adds = self.merge == "add"
        shapes = []
        for branch in self.inner:
            assign(branch, input_shape=input_shape)
            shapes.append(branch.shape_after(input_shape))
        if len({s if adds else s[:-1] for s in shapes}) > 1:
            equal = "them equal" if adds else "them equal but for the last axis"
            raise self.input_error(f"puts together examples of the shapes {shapes}", equal)
        ends = [0, *np.cumsum([s[-1] for s in shapes]).tolist()]
        # Of the output's last axis, what comes from each branch.
        self._parts = [slice(None) if adds else slice(*ends) for ends in pairwise(ends)]
        return shapes[0] if adds else (*shapes[0][:-1], ends[-1])

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        shapes = [branch.output_shape for branch in self.inner if training]
        own = {f"dy{i}": self.backend.zeros((batch, *shape)) for i, shape in enumerate(shapes)}
        return super().make_buffers(batch, training) | own

    def forward(self, x: Array, *, training: bool) -> Array:
        y = self._buffers[x.shape[0]].y
        for i, (branch, part) in enumerate(zip(self.inner, self._parts, strict=True)):
            made = branch.forward(x, training=training)
            y[..., part] = y + made if i and self.merge == "add" else made
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx = the sum of what the branches make of their parts of dy, or each of all of dy."""
        buffers = self._buffers[dy.shape[0]]
        for i, (branch, part) in enumerate(zip(self.inner, self._parts, strict=True)):
            own = getattr(buffers, f"dy{i}")
            own[...] = dy[..., part]  # a copy, since the layers write over it
            inner = branch.backward(own)
            if buffers.dx is not None:
                buffers.dx[...] = buffers.dx + inner if i else inner
        return buffers.dx


class Residual(Parallel):
    """``y = x + f(x)``: new layers in a row that keep the shape, and a shortcut around (He et al. 2016)."""

    branches: Sequence[Layer] = field(init=False)
    merge: str = field(default="add", init=False)
    layers: Sequence[Layer] = field()

    examples = ({"layers": [{"type": "Dense", "units": 24}]},)

    def __post_init__(self) -> None:
        block = Block(self.layers, name="block")
        assign(self, layers=block.layers, branches=(Activation("linear", name="shortcut"), block))
        super().__post_init__()
