"""ONNX nodes of layers in evaluation mode. Register a custom one by ``LAYER_NODES.add("Mine", function)``."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from backends.table import Table
from dnn.interop import NoTwin
from dnn.interop.onnx.activations import ACTIVATION_NODES, elu
from dnn.interop.onnx.graph import Value, Writer
from dnn.layers import LAYERS, Layer
from dnn.layers.activated import Activated

LayerNodes = Callable[[Writer, Any, Value], Value]


def write_layer(parent: Writer, layer: Layer, x: Value) -> Value:
    """Write a built layer's nodes for the input x and return the result.

    Args:
        parent: writer of the container around the layer, or of the network.

    Raises NoTwin: a custom layer or activation without registered nodes.
    """
    name = f"{parent.prefix}{layer.name}"
    kind = type(layer).__name__
    if kind not in LAYER_NODES or LAYERS.get(kind) is not type(layer):
        raise NoTwin(
            f"layer {name!r} is {kind}, which has no ONNX nodes, expected one of {', '.join(LAYER_NODES)}; "
            f"a class of your own is registered (@dnn.register) and gets them by LAYER_NODES.add({kind!r}, "
            f"function) of dnn.interop.onnx"
        )
    write = Writer(parent.graph, layer, f"{name}.")
    y = LAYER_NODES[kind](write, layer, x)
    if not isinstance(layer, Activated):
        return y
    if layer.applied not in ACTIVATION_NODES:
        raise NoTwin(
            f"layer {name!r} has activation {layer.applied!r}, which has no ONNX nodes, expected one of "
            f"{', '.join(ACTIVATION_NODES)}; one of your own gets them by "
            f"ACTIVATION_NODES.add({layer.applied!r}, function) of dnn.interop.onnx"
        )
    return ACTIVATION_NODES[layer.applied](write, y)


def write_layers(parent: Writer, layers: Sequence[Layer], x: Value) -> Value:
    """Write layers in sequence for the input x and return the result."""
    for layer in layers:
        x = write_layer(parent, layer, x)
    return x


def _dense(write: Writer, layer: Any, x: Value) -> Value:
    bias = [write.parameter("b")] if layer.use_bias else []
    return write.node("Gemm", x, write.parameter("W"), *bias)


def _conv(write: Writer, layer: Any, x: Value) -> Value:
    n = len(layer.input_shape)
    skip = 3 - n  # layers of sequences store settings as for an image of one row
    bias = [write.parameter("b")] if layer.use_bias else []
    return write.node(
        "Conv", write.to_channels_first(x), write.parameter("W", (n, n - 1, *range(n - 1))), *bias,
        kernel_shape=layer.size[skip:], strides=layer.stride_pair[skip:], dilations=layer.spacing[skip:],
        pads=_pads(layer.borders[skip:]), group=layer.groups,
    )  # fmt: skip


def _pads(borders: Any) -> list[int]:
    """Convert (before, after) of each axis to ONNX's order: all before, then all after."""
    return [side[i] for i in (0, 1) for side in borders]


def _pool(op: str) -> LayerNodes:
    """Return the function for a pooling. Padding is explicit, since libraries interpret ``ceil_mode``
    differently.
    """

    def nodes(write: Writer, layer: Any, x: Value) -> Value:
        x = write.to_channels_first(x)
        skip = 3 - len(layer.input_shape)  # as in _conv
        borders = np.asarray(layer.borders)[skip:]
        if getattr(layer, "count_include_pad", False) and np.any(layer.counted_borders):
            # Padding that counts in the average becomes part of the image.
            counted = np.asarray(layer.counted_borders)[skip:]
            outside = [(0, 0), (0, 0), *counted.tolist()]
            x = write.node("Pad", x, write.constant("pads", _pads(outside), "int64"))
            borders -= counted
        return write.node(
            op, x, kernel_shape=layer.size[skip:], strides=layer.stride_pair[skip:],
            pads=_pads(borders.tolist()),
        )  # fmt: skip

    return nodes


def _reduce(op: str) -> LayerNodes:
    """Return the function for a reduction over all pixels."""

    def nodes(write: Writer, layer: Any, x: Value) -> Value:
        axes = write.constant("axes", (2, 3) if x.channels_first else (1, 2), "int64")
        return write.node(op, x, axes, keepdims=0)

    return nodes


def _batch_norm(write: Writer, layer: Any, x: Value) -> Value:
    numbers = [write.parameter(k) for k in ("gamma", "beta", "running_mean", "running_variance")]
    return write.node("BatchNormalization", write.to_channels_first(x), *numbers, epsilon=layer.epsilon)


def _layer_norm(write: Writer, layer: Any, x: Value) -> Value:
    numbers = write.parameter("gamma"), write.parameter("beta")
    return write.node(
        "LayerNormalization", write.to_channels_last(x), *numbers, axis=-1, epsilon=layer.epsilon
    )


def _reshape(write: Writer, layer: Any, x: Value) -> Value:
    shape = write.constant("shape", (0, *layer.output_shape), "int64")  # 0: keep the batch size
    return write.node("Reshape", write.to_channels_last(x), shape)


def _rescaling(write: Writer, layer: Any, x: Value) -> Value:
    y = write.node("Mul", x, write.constant("scale", layer.scale))
    return write.node("Add", y, write.constant("offset", layer.offset)) if layer.offset else y


def _parallel(write: Writer, layer: Any, x: Value) -> Value:
    made = [write_layer(write, branch, x) for branch in layer.inner]
    side = write.to_channels_first if all(y.channels_first for y in made) else write.to_channels_last
    y, *others = (side(y) for y in made)
    if layer.merge == "concatenate":
        return write.node("Concat", y, *others, axis=1 if y.channels_first else -1)
    for other in others:
        y = write.node("Add", y, other)
    return y


LAYER_NODES: Table[LayerNodes] = Table("layer with ONNX nodes", {
    "Dense": _dense,
    "Conv2D": _conv,
    "Conv1D": _conv,
    "Embedding": lambda write, layer, x: write.node("Gather", write.parameter("W"), x),
    "MaxPooling2D": _pool("MaxPool"),
    "AveragePooling2D": _pool("AveragePool"),
    "MaxPooling1D": _pool("MaxPool"),
    "AveragePooling1D": _pool("AveragePool"),
    "GlobalAveragePooling2D": _reduce("ReduceMean"),
    "GlobalMaxPooling2D": _reduce("ReduceMax"),
    "BatchNormalization": _batch_norm,
    "LayerNormalization": _layer_norm,
    "Flatten": lambda write, layer, x: write.node("Flatten", write.to_channels_last(x), axis=1),
    "Reshape": _reshape,
    "Rescaling": _rescaling,
    "LeakyReLU": lambda write, layer, x: write.node("LeakyRelu", x, alpha=layer.slope),
    "ELU": lambda write, layer, x: elu(write, x, layer.alpha),
    "GELU": lambda write, layer, x: write.node("Gelu", x, approximate=layer.approximate),
    # Random layers change nothing in evaluation, and write_layer writes the function of an Activation.
    **dict.fromkeys(
        ("Dropout", "GaussianNoise", "RandomTranslation", "RandomRotation", "RandomElastic", "Activation"),
        lambda write, layer, x: x,
    ),
    "Block": lambda write, layer, x: write_layers(write, layer.layers, x),
    "Residual": _parallel,
    "Parallel": _parallel,
})  # fmt: skip
"""Layer class -> function (writer, layer, x) that writes its nodes and returns the result, for ``Activated``
layers without the activation."""
