"""Layers made of layers: Block, Parallel and Residual. A whole network is a Block. The table of all layers.

An inner parameter is named after all layers around it, as in "block_1.dense_1.W". Inner layers draw from
random streams of their own, whose seed follows from the model's and from the container's place.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import refusing
from backends.table import Table
from dnn.layers.activated import Activation
from dnn.layers.layer import Layer, Shape
from dnn.random import Key, stream_key
from dnn.validation.objects import made_again
from dnn.validation.settings import look_up, require, require_list

T = TypeVar("T")
WHOLE = -1  # the index of the container that is the model itself: its streams are the model's

LAYERS: Table[type[Layer]] = Table("layer", {})
"""Every layer by its class's name; one of your own: ``LAYERS.add("Mine", Mine)``."""


def layer_from(description: Mapping[str, Any]) -> Layer:
    """A new layer from its class's name, "type", and its ``config``; InputError if they do not fit."""
    arguments = dict(description)
    layer_class = look_up("layer type", str(arguments.pop("type", None)), LAYERS)
    with refusing(TypeError, "a layer is described wrongly:"):
        made: Layer = made_again(layer_class, arguments)
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

    in_a_row: ClassVar[bool] = True  # whether each layer takes what the one before returns
    picked: int = 0
    """How many layers, of the first, are done while batches are picked: 1 in a model that begins by scaling.
    They do not count: the others' random streams are the same without them."""

    def __init__(self, argument: str, given: Any, name: str | None, trainable: bool) -> None:
        require_list(argument, given)
        if not given:
            raise InputError(f"{argument} is empty, expected at least one layer")
        made = [layer_from(x) if isinstance(x, Mapping) else x for x in given]
        self.inner = tuple(Block(x) if isinstance(x, (list, tuple)) else x for x in made)
        for i, layer in enumerate(self.inner):
            require(isinstance(layer, Layer), f"{argument}[{i}]", layer, "a Layer such as Dense(10)")
        for layer, usual in zip(self.inner, layer_names(self.inner), strict=True):
            if not layer.name:
                layer.name = usual
        super().__init__(name, trainable)
        if not trainable:
            self.trainable = False
        self.random = any(layer.random for layer in self.inner)
        self.mixes = any(layer.mixes for layer in self.inner)

    def named(self, parts: Iterable[Mapping[str, T]]) -> dict[str, T]:
        """What each layer has by short name ("W"), by the layer's name and that ("dense_1.W")."""
        pairs = zip(self.inner, parts, strict=True)
        return {f"{layer.name}.{short}": v for layer, part in pairs for short, v in part.items()}

    @property
    def frozen(self) -> Mapping[str, Array]:
        # Asked for in each update, so without ``named``.
        return {f"{x.name}.{short}": v for x in self.inner for short, v in x.frozen.items()}

    def bind(self, backend: Backend) -> None:
        high, low = stream_key(self._seed, type(self).__name__, self._index)
        self._streams = self._seed if self._index == WHOLE else high << 32 | low
        first = self._first
        for i, layer in enumerate(self.inner, -self.picked):
            if layer.outermost and self._index != WHOLE:
                raise layer.refused(f"stands within {self.name!r}", "it before that, in the model itself")
            layer.build(layer.input_shape, backend, layer.name, first, seed=self._streams, index=i)
            first = first and not (self.in_a_row and layer.parameter_shapes())
        self.state = self.named(layer.state for layer in self.inner)

    def parameter_shapes(self) -> dict[str, Shape]:
        return self.named(layer.parameter_shapes() for layer in self.inner)

    def initial_values(self, key: Key = (0, 0)) -> dict[str, np.ndarray]:
        """Those of the layers, from their own streams instead of ``key``."""
        numbered = enumerate(self.inner, -self.picked)
        return self.named(x.initial_values(stream_key(self._streams, "weights", i)) for i, x in numbered)

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

    examples = ({"layers": [{"type": "Dense", "units": 24}, {"type": "LayerNormalization"}]},)

    def __init__(self, layers: Sequence[Layer], *, name: str | None = None, trainable: bool = True) -> None:
        super().__init__("layers", layers, name, trainable)
        self.layers = self.inner
        self.activation = self.layers[-1].activation

    def shape_after(self, input_shape: Shape) -> Shape:
        for layer in self.layers:
            layer.input_shape, input_shape = input_shape, layer.shape_after(input_shape)
        return input_shape

    def forward(self, x: Array, *, training: bool, logits: bool = False) -> Array:
        *before, last = self.layers[self.picked :]
        for layer in before:
            x = layer.forward(x, training=training)
        return (last.forward_logits if logits else last.forward)(x, training=training)

    def backward(self, dy: Array, *, logits: bool = False) -> Array | None:
        """The chain rule."""
        *before, last = self.layers
        gradient = last.backward_logits(dy) if logits else last.backward(dy)
        for layer in reversed(before):
            if gradient is None:  # nothing before is trained
                break
            gradient = layer.backward(gradient)
        return gradient

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        return self.forward(x, training=training, logits=True)

    def backward_logits(self, dz: Array) -> Array | None:
        return self.backward(dz, logits=True)


class Parallel(Container):
    """Branches that all take x, and whose outputs are joined along the last axis, or with merge="add" added.

    A branch is a new layer, or a list of layers in a row.

    >>> from dnn import Dense
    >>> Parallel([Dense(3), [Dense(8, "relu"), Dense(2)]]).shape_after((4,))
    (5,)
    """

    _pair = ({"type": "Dense", "units": 24}, [{"type": "Dense", "units": 5}, {"type": "Dense", "units": 24}])
    examples: ClassVar[Any] = ({"branches": _pair}, {"branches": _pair, "merge": "add"})
    in_a_row = False
    keeps = "y", "dx"

    def __init__(
        self, branches: Sequence[Layer | Sequence[Layer]], *, merge: str = "concatenate",
        name: str | None = None, trainable: bool = True,
    ) -> None:  # fmt: skip
        super().__init__("branches", branches, name, trainable)
        self.branches = self.inner
        look_up("merge", merge, dict.fromkeys(("concatenate", "add")))
        self.merge = merge

    def shape_after(self, input_shape: Shape) -> Shape:
        shapes, adds = [], self.merge == "add"
        for branch in self.branches:
            branch.input_shape = input_shape
            shapes.append(branch.shape_after(input_shape))
        if len({s if adds else s[:-1] for s in shapes}) > 1:
            equal = "them equal" if adds else "them equal but for the last axis"
            raise self.refused(f"puts together examples of the shapes {shapes}", equal)
        ends = [0, *np.cumsum([s[-1] for s in shapes]).tolist()]
        # Of the output's last axis, what comes from each branch.
        self._parts = [slice(None) if adds else slice(*ends) for ends in pairwise(ends)]
        return shapes[0] if adds else (*shapes[0][:-1], ends[-1])

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        made, zeros = super().make_buffers(batch, training), self.backend.zeros
        branches = self.branches if training else ()
        return made | {f"dy{i}": zeros((batch, *branch.output_shape)) for i, branch in enumerate(branches)}

    def forward(self, x: Array, *, training: bool) -> Array:
        y = self._buffers[x.shape[0]].y
        for i, (branch, part) in enumerate(zip(self.branches, self._parts, strict=True)):
            made = branch.forward(x, training=training)
            y[..., part] = y + made if i and self.merge == "add" else made
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx = the sum of what the branches make of their parts of dy, or each of all of dy."""
        keep = self._buffers[dy.shape[0]]
        for i, (branch, part) in enumerate(zip(self.branches, self._parts, strict=True)):
            own = getattr(keep, f"dy{i}")
            own[...] = dy[..., part]  # a copy, since the layers write over it
            inner = branch.backward(own)
            if keep.dx is not None:
                keep.dx[...] = keep.dx + inner if i else inner
        return keep.dx


class Residual(Parallel):
    """``y = x + f(x)``: new layers in a row that keep the shape, and a shortcut around (He et al. 2016)."""

    examples = ({"layers": [{"type": "Dense", "units": 24}]},)

    def __init__(self, layers: Sequence[Layer], *, name: str | None = None, trainable: bool = True) -> None:
        block = Block(layers, name="block")
        self.layers = block.layers
        shortcut = Activation("linear", name="shortcut")
        super().__init__([shortcut, block], merge="add", name=name, trainable=trainable)
