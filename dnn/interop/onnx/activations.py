"""ONNX nodes of activations. Register a custom one by ``ACTIVATION_NODES.add("mine", function)``.

Three activations are written as several nodes, since onnxruntime's own operators exceed the agreement check's
bound of 8 ULP. Its Sigmoid has an error of 6e-8, which below -16 is as large as the result. Its Elu computes
e^z - 1, which cancels near 0. Its Tanh loses bits below 1e-36.
"""

from collections.abc import Callable
from typing import Any

from backends.reference.activations import LEAKY_SLOPE
from backends.table import Table
from dnn.interop.onnx.graph import Value, Writer

ActivationNodes = Callable[[Writer, Value], Value]


def one_node(op: str, **attributes: Any) -> ActivationNodes:
    return lambda write, z: write.node(op, z, **attributes)


def sigmoid(write: Writer, z: Value) -> Value:
    """Write 1 / (1 + e^-z)."""
    e = write.node("Exp", write.node("Neg", z))
    return write.node("Reciprocal", write.node("Add", e, write.constant("one", 1.0)))


def tanh(write: Writer, z: Value) -> Value:
    """Write tanh z, or z where it is so small that tanh z rounds to z."""
    small = write.node("Less", write.node("Abs", z), write.constant("small", 1e-4))
    return write.node("Where", small, z, write.node("Tanh", z))


def elu(write: Writer, z: Value, alpha: float = 1.0) -> Value:
    """Write z above 0, else alpha (e^z - 1) as alpha tanh(z / 2) (e^z + 1), which never cancels."""
    half = write.node("Tanh", write.node("Mul", z, write.constant("half", 0.5)))
    below = write.node("Mul", half, write.node("Add", write.node("Exp", z), write.constant("one", 1.0)))
    below = write.node("Mul", below, write.constant("alpha", alpha))
    return write.node("Where", write.node("Greater", z, write.constant("zero", 0.0)), z, below)


ACTIVATION_NODES: Table[ActivationNodes] = Table("activation with ONNX nodes", {
    "linear": lambda write, z: z,
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": one_node("Relu"),
    "softmax": lambda write, z: write.node("Softmax", z, axis=1 if z.channels_first else -1),
    "leaky_relu": one_node("LeakyRelu", alpha=LEAKY_SLOPE),
    "elu": elu,
    "gelu": one_node("Gelu", approximate="tanh"),
    "silu": lambda write, z: write.node("Mul", z, write.node("Sigmoid", z)),
    "softplus": one_node("Softplus"),
})  # fmt: skip
"""Activation -> function (writer, z) that writes its nodes and returns the result."""
