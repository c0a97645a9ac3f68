"""An ONNX graph under construction, with the memory layout of its images.

Our images are (B, H, W, C); ONNX's convolutions and poolings take (B, C, H, W). Each ``Value`` stores its
layout. A Transpose is written only if a node needs the other layout, and only once per value, so there is
none between two convolutions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import BackendUnavailable
from backends.errors import install_command
from dnn.layers.layer import Layer, Shape

FILE_DTYPE = "float32"
"""dtype of all floats in a file: node attributes are float32, and onnxruntime has no float64 convolution."""


@dataclass(frozen=True)
class Value:
    """A tensor in the graph: the graph's input or the result of a node."""

    name: str
    shape: Shape  # of one example, with channels last
    channels_first: bool = False  # layout in the graph

    @property
    def axis(self) -> int:
        """Axis of the channels in the graph."""
        return 1 if self.channels_first else -1


class Graph:
    """The nodes and constants of a file, which grow while layers are written.

    Raises BackendUnavailable: the package onnx is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnx
        except ImportError as error:
            why = f"ONNX files need the package onnx, which cannot be imported ({error})"
            raise BackendUnavailable(f"{why}; {install_command('onnx')}") from None
        self.onnx: Any = onnx
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []
        self.transposes: dict[str, Value] = {}  # name of a value -> the value in the other layout

    def add_array(self, name: str, array: np.ndarray) -> str:
        """Add a constant array (an ONNX initializer) and return its name."""
        made = self.onnx.numpy_helper.from_array(np.array(array, order="C"), name)
        self.initializers.append(made)
        return name

    def element_type(self, dtype: str) -> int:
        """Return ONNX's enum value of a dtype."""
        return int(self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


class Writer:
    """Writes the nodes of one layer. Their names begin with the layer's name."""

    def __init__(self, graph: Graph, name: str, layer: Layer) -> None:
        self.graph = graph
        self.name = name
        self.layer = layer

    def parameter(self, short: str, axes: tuple[int, ...] | None = None) -> str:
        """Add a parameter ("W") or buffer of the layer, with its axes in this order; return its name."""
        name = f"{self.name}.{short}"
        arrays = {**self.layer.value, **self.layer.state}
        array = np.asarray(self.layer.backend.to_host(arrays[short]), FILE_DTYPE)
        return self.graph.add_array(name, array if axes is None else array.transpose(axes))

    def constant(self, short: str, value: Any, dtype: str = FILE_DTYPE) -> str:
        """Add a constant number or array that is not a parameter; return its name."""
        name = f"{self.name}.{short}_{len(self.graph.initializers)}"
        return self.graph.add_array(name, np.asarray(value, dtype=dtype))

    def node(
        self, op: str, *inputs: Value | str, shape: Shape | None = None,
        channels_first: bool | None = None, **attributes: Any,
    ) -> Value:  # fmt: skip
        """Write a node with one result and return the result.

        Args:
            inputs: values, and names of parameters or constants.
            shape: of the result; None: the layer's output shape.
            channels_first: of the result; None: as the first Value among the inputs.
            attributes: of the ONNX operator.
        """
        shape = self.layer.output_shape if shape is None else shape
        if channels_first is None:
            channels_first = next(x.channels_first for x in inputs if isinstance(x, Value))
        name = f"{self.name}.{op}_{len(self.graph.nodes)}"
        y = Value(name, shape, channels_first and len(shape) > 1)
        names = [x.name if isinstance(x, Value) else x for x in inputs]
        made = self.graph.onnx.helper.make_node(op, names, [y.name], name=y.name, **attributes)
        self.graph.nodes.append(made)
        return y

    def _transpose(self, x: Value) -> Value:
        """Return x in the other layout. A Transpose is written unless one exists."""
        known = self.graph.transposes
        if x.name not in known:
            last = len(x.shape)
            perm = (0, *range(2, last + 1), 1) if x.channels_first else (0, last, *range(1, last))
            y = self.node("Transpose", x, shape=x.shape, channels_first=not x.channels_first, perm=perm)
            known |= {x.name: y, y.name: x}
        return known[x.name]

    def to_channels_first(self, x: Value) -> Value:
        """Return x in the layout (B, C, ...)."""
        return x if x.channels_first or len(x.shape) < 2 else self._transpose(x)

    def to_channels_last(self, x: Value) -> Value:
        """Return x in the layout (B, ..., C)."""
        return self._transpose(x) if x.channels_first else x
