"""An ONNX graph while it is written, and which way round its images lie.

Our images are (B, H, W, C); ONNX's convolutions and poolings take (B, C, H, W). A ``Value`` knows how it
lies, and what needs it the other way round asks for that: only then is a Transpose written, and only once. So
there is none between two convolutions, where the second would undo the first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import BackendUnavailable, InputError
from backends.errors import install_command
from dnn.layers.layer import Layer, Shape

OPSET_VERSION, IR_VERSION = 20, 9
"""The first operators that have Gelu, and the file format of their time."""
FILE_DTYPE = "float32"
"""Of all numbers in a file: nodes have their settings in it, and onnxruntime convolves in no wider one."""


def onnx_module() -> Any:
    """The package onnx. Raises BackendUnavailable: it is not installed."""
    try:
        import onnx
    except ImportError as error:
        raise BackendUnavailable(
            f"ONNX files need the package onnx, which cannot be imported ({error}); {install_command('onnx')}"
        ) from None
    return onnx


def as_float32(name: str, values: Any) -> np.ndarray:
    """An array in float32; ``to_onnx`` has refused what may not be rounded. InputError: it overflows."""
    array = np.asarray(values)
    with np.errstate(over="ignore"):
        rounded = array.astype(FILE_DTYPE)
    if np.isinf(rounded).any() and not np.isinf(array).any():
        raise InputError(
            f"weights {name} hold {np.abs(array).max():.3g}, expected numbers that {FILE_DTYPE} has"
        )
    return rounded


@dataclass(frozen=True)
class Value:
    """What flows between two nodes."""

    name: str
    shape: Shape  # of one example as it is with us, channels last
    channels_first: bool = False  # whether the channels stand first in the graph

    @property
    def axis(self) -> int:
        """Of the channels."""
        return 1 if self.channels_first else -1


class Graph:
    """Nodes and constants so far.

    Args:
        reserved: names of parameters, which nothing else gets.

    Attributes:
        inputs, outputs: by name, what goes in and what comes out.
    """

    def __init__(self, reserved: Iterable[str]) -> None:
        self.onnx = onnx_module()
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self._names = set(reserved)
        self._transposes: dict[str, Value] = {}

    def new_name(self, base: str) -> str:
        """The name, or with a number where it is taken."""
        name = base
        number = 1
        while name in self._names:
            number += 1
            name = f"{base}_{number}"
        self._names.add(name)
        return name

    def add_array(self, name: str, array: np.ndarray) -> str:
        """An array that is always the same, an "initializer"."""
        made = self.onnx.numpy_helper.from_array(np.array(array, order="C"), name)
        self.initializers.append(made)
        return name

    def add_node(self, op: str, inputs: Iterable[str], output: str, attributes: Mapping[str, Any]) -> None:
        self.nodes.append(self.onnx.helper.make_node(op, [*inputs], [output], name=output, **attributes))

    def transpose(self, x: Value, name: str) -> Value:
        """x the other way round, as it was or by a Transpose in the layer of this name."""
        if x.name not in self._transposes:
            last = len(x.shape)
            perm = (0, *range(2, last + 1), 1) if x.channels_first else (0, last, *range(1, last))
            y = Value(self.new_name(f"{name}.Transpose"), x.shape, not x.channels_first)
            self.add_node("Transpose", [x.name], y.name, {"perm": perm})
            self._transposes |= {x.name: y, y.name: x}
        return self._transposes[x.name]

    def add_input(self, name: str, shape: Shape, dtype: str) -> Value:
        """The graph's input: any number of examples of this shape."""
        self.inputs.append(self._info(name, shape, dtype))
        return Value(name, shape)

    def add_output(self, value: Value, name: str) -> None:
        """Make the value the graph's output, under this name."""
        self.add_node("Identity", [value.name], name, {})
        self.outputs.append(self._info(name, value.shape, FILE_DTYPE))

    def element_type(self, dtype: str) -> int:
        """ONNX's number of a dtype."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _info(self, name: str, shape: Shape, dtype: str) -> Any:
        return self.onnx.helper.make_tensor_value_info(name, self.element_type(dtype), ["batch", *shape])

    def as_model(self, about: Mapping[str, str], producer: str = "", version: str = "") -> Any:
        """The onnx.ModelProto; ``about``: its metadata."""
        make = self.onnx.helper
        made = make.make_model(
            make.make_graph(self.nodes, "network", self.inputs, self.outputs, self.initializers),
            opset_imports=[make.make_opsetid("", OPSET_VERSION)], ir_version=IR_VERSION,
            producer_name=producer, producer_version=version,
        )  # fmt: skip
        make.set_model_props(made, dict(about))
        return made


class Writer:
    """With which one layer's nodes are written; their names begin with the layer's."""

    def __init__(self, graph: Graph, name: str, layer: Layer) -> None:
        self.graph = graph
        self.name = name
        self.layer = layer

    def parameter(self, short: str, axes: tuple[int, ...] | None = None) -> str:
        """The name of a parameter ("W"), or of state, in the graph; ``axes``: in this order."""
        name = f"{self.name}.{short}"
        held = {**self.layer.value, **self.layer.state}
        array = as_float32(name, self.layer.backend.to_host(held[short]))
        order = tuple(range(array.ndim)) if axes is None else axes
        return self.graph.add_array(name, array.transpose(order))

    def constant(self, short: str, value: Any, dtype: str = FILE_DTYPE) -> str:
        """The name of a number, or of an array, that is a setting and no parameter."""
        name = self.graph.new_name(f"{self.name}.{short}")
        return self.graph.add_array(name, np.asarray(value, dtype=dtype))

    def node(
        self, op: str, *inputs: Value | str, shape: Shape | None = None, channels_first: bool | None = None,
        **attributes: Any,
    ) -> Value:  # fmt: skip
        """One node and what it returns: of the shape and the way round of its first input, unless told."""
        like = next(x for x in inputs if isinstance(x, Value))
        shape = like.shape if shape is None else shape
        channels_first = (like.channels_first if channels_first is None else channels_first) and len(
            shape
        ) > 1
        made = Value(self.graph.new_name(f"{self.name}.{op}"), shape, channels_first)
        names = [x.name if isinstance(x, Value) else x for x in inputs]
        self.graph.add_node(op, names, made.name, attributes)
        return made

    def to_channels_first(self, x: Value) -> Value:
        """x with its channels first, (B, C, ...)."""
        return x if x.channels_first or len(x.shape) < 2 else self.graph.transpose(x, self.name)

    def to_channels_last(self, x: Value) -> Value:
        """x with its channels last, (B, ..., C)."""
        return self.graph.transpose(x, self.name) if x.channels_first else x
