"""Write the nodes of an ONNX graph, and keep track of the memory layout of images.

Our images are (B, H, W, C); ONNX's convolutions and poolings take (B, C, H, W). Each ``Value`` stores its
layout. A Transpose is written only if a node needs the other layout, and only once per value, so there is
none between two convolutions.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from dnn.layers.layer import Layer, Shape

FILE_DTYPE = "float32"
"""dtype of all floats in a file: node attributes are float32, and onnxruntime has no float64 convolution."""


@dataclass(eq=False)
class Value:
    """A tensor in the graph: the graph's input or the result of a node."""

    name: str
    shape: Shape  # of one example, with channels last
    channels_first: bool = False  # layout in the graph
    transposed: "Value | None" = None  # the same tensor in the other layout, once a node has written it


@dataclass(eq=False)
class Writer:
    """Writes the nodes of one layer."""

    graph: Any  # the onnx.GraphProto that gets the nodes and constants
    layer: Layer
    prefix: str  # of their names: the names of the containers around the layer, and its own

    def _add_array(self, name: str, values: Any, dtype: str) -> str:
        """Add a constant array (an ONNX initializer) and return its name."""
        from onnx import numpy_helper

        array = np.array(values, dtype, order="C")
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def parameter(self, short: str, axes: tuple[int, ...] | None = None) -> str:
        """Add a parameter ("W") or buffer of the layer, with its axes in this order; return its name."""
        arrays = {**self.layer.value, **self.layer.state}
        array = self.layer.backend.to_host(arrays[short])
        return self._add_array(
            f"{self.prefix}{short}", array if axes is None else array.transpose(axes), FILE_DTYPE
        )

    def constant(self, short: str, value: Any, dtype: str = FILE_DTYPE) -> str:
        """Add a constant number or array that is not a parameter; return its name."""
        return self._add_array(f"{self.prefix}{short}_{len(self.graph.initializer)}", value, dtype)

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
        from onnx import helper

        shape = self.layer.output_shape if shape is None else shape
        if channels_first is None:
            channels_first = next(x.channels_first for x in inputs if isinstance(x, Value))
        name = f"{self.prefix}{op}_{len(self.graph.node)}"
        names = [x.name if isinstance(x, Value) else x for x in inputs]
        self.graph.node.append(helper.make_node(op, names, [name], name=name, **attributes))
        return Value(name, shape, channels_first and len(shape) > 1)

    def _transpose(self, x: Value) -> Value:
        """Return x in the other layout. A Transpose is written unless one exists."""
        if x.transposed is None:
            last = len(x.shape)
            perm = (0, *range(2, last + 1), 1) if x.channels_first else (0, last, *range(1, last))
            y = self.node("Transpose", x, shape=x.shape, channels_first=not x.channels_first, perm=perm)
            x.transposed = y
            y.transposed = x
        return x.transposed

    def to_channels_first(self, x: Value) -> Value:
        """Return x in the layout (B, C, ...)."""
        return x if x.channels_first or len(x.shape) < 2 else self._transpose(x)

    def to_channels_last(self, x: Value) -> Value:
        """Return x in the layout (B, ..., C)."""
        return self._transpose(x) if x.channels_first else x
