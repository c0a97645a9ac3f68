"""The CUDA kernels of the CuPy backend as text, and how each is called.

``arithmetic.cuh`` is every kernel's arithmetic on one element; the files of FILES have kernels that are
started with pointers; ELEMENTWISE lists those that CuPy makes from one line. Nothing here needs CuPy, so all
can be checked without a GPU.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent
CTYPES: Mapping[str, str] = MappingProxyType({"float32": "float", "float64": "double"})


_FORWARD = {"linear": "linear", "sigmoid": "sigmoid", "tanh": "hyperbolic_tangent", "relu": "relu"}
FUSED_KINDS = tuple(_FORWARD)  # activations that have CUDA code; softmax has none outside the loss
OPTIMIZERS = ("sgd", "adagrad", "rmsprop", "adam", "adamw")  # that ``dnn::optimize`` knows

_GEOMETRY = "height, width, channels, h, w, rows, columns, s, t, top, left"
_INTS = ", ".join(f"int32 {word}" for word in _GEOMETRY.split(", "))
# Inputs, outputs and operation of each cupy.ElementwiseKernel (``i`` is the element's number).
ELEMENTWISE: Mapping[str, tuple[str, str, str]] = MappingProxyType({
    "gather_rows": (
        "raw R rows, raw int64 index, int64 width, T scale", "T out",
        "out = static_cast<T>(rows[index[i / width] * width + i % width]) * scale",
    ),
    "advance": (
        "T beta1, T rest1, T beta2, T rest2", "T control",
        "control = dnn::advance(static_cast<int>(i), control, beta1, rest1, beta2, rest2)",
    ),
    "penalty": ("T w, T l1, T l2", "T g", "g = dnn::penalized(g, w, l1, l2)"),
    "clip_norm": ("raw T square, T limit", "T g", "g = g * dnn::clip_factor(square[0], limit)"),
    "clip_value": ("T limit", "T g", "g = dnn::clip_value(g, limit)"),
    "unfold": (
        f"raw T x, {_INTS}", "T out",
        f"const long long at = dnn::unfolded(i, {_GEOMETRY}); out = at < 0 ? T(0) : x[at]",
    ),
    "fold": (f"raw T unfolded, {_INTS}", "T dx", f"dx = dnn::folded(&unfolded[0], i, {_GEOMETRY})"),
    "centred_square": ("T x, T total, T n", "T y", "y = (x - total / n) * (x - total / n)"),
    "batch_statistics": (
        "T total, T square, T n, T momentum, T epsilon", "T mean, T inverse, T running, T variance",
        "mean = total / n; inverse = T(1) / sqrt(square / n + epsilon);"
        "running = (T(1) - momentum) * running + momentum * mean;"
        "variance = (T(1) - momentum) * variance + momentum * (square / (n - T(1)))",
    ),
    "batch_normalized": (
        "T x, T mean, T inverse, T gamma, T beta", "T y", "y = (x - mean) * (inverse * gamma) + beta",
    ),
    "batch_along": ("T dy, T x, T mean, T inverse", "T out", "out = dy * ((x - mean) * inverse)"),
    "batch_backward": (
        "T dy, T x, T mean, T inverse, T gamma, T dgamma, T dbeta, T n", "T dx",
        "dx = gamma * inverse * (dy - dbeta / n - (x - mean) * inverse * (dgamma / n))",
    ),
    "threefry": (
        "uint32 key0, uint32 key1, int64 high, int64 low", "int64 out",
        "out = dnn::threefry<long long>(high, low, key0, key1)",
    ),
    **{f"activation_{k}": ("T z", "T y", f"y = dnn::{f}(z)") for k, f in _FORWARD.items()},
    **{f"activation_backward_{k}": ("T dy, T y", "T dz", f"dz = dnn::{f}_backward(dy, y)")
       for k, f in _FORWARD.items()},
    **{f"bias_activation_{k}": ("T b", "T y", f"y = dnn::{f}(y + b)") for k, f in _FORWARD.items()},
})  # fmt: skip


def arithmetic() -> str:
    """The text in front of every kernel."""
    return (FOLDER / "arithmetic.cuh").read_text(encoding="utf-8")


def function(name: str) -> str:
    """One function template of it, for a compiler that adds its own qualifiers."""
    rest = arithmetic().partition(f"DNN_HD T {name}(")[2]
    body, end, _ = rest.partition("\n}\n")
    return f"template <class T>\nT {name}({body}{end}"


FILES = ("rows", "update", "products")
"""Kernels that CUDA is given pointers for; what a file needs stands in those before it."""


def _text(name: str) -> str:
    return (FOLDER / f"{name}.cu").read_text(encoding="utf-8")


def signatures(file: str) -> dict[str, tuple[str, ...]]:
    """Name of each kernel of a file -> its arguments' types: "int", or of arrays "REAL*", "long long*"."""
    found = re.findall(r"^__global__ void (\w+)\(([^)]*)\)", _text(file), re.MULTILINE)
    return {name: tuple(re.findall(r"(?:const )?(\w[\w ]*\*?) \w+(?:,|$)", given)) for name, given in found}


KERNELS: Mapping[str, tuple[str, ...]] = MappingProxyType({
    name: types for file in FILES for name, types in signatures(file).items()
})  # fmt: skip
"""Every such kernel and the types of its arguments."""


def module(kernel: str, real: str) -> str:
    """The whole text in which a kernel is found, for REAL "float" or "double"."""
    last = next(i for i, file in enumerate(FILES) if kernel in signatures(file))
    return "\n".join([f"#define REAL {real}", arithmetic(), *map(_text, FILES[: last + 1])])
