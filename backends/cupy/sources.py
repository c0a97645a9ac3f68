"""Source text and signatures of the CuPy backend's CUDA kernels.

``arithmetic.cuh`` has the arithmetic of all kernels on one element. ``kernels.cu`` has kernels with pointer
arguments; ELEMENTWISE has one-line kernels for cupy.ElementwiseKernel. Nothing here needs CuPy, so all of it
can be tested without a GPU.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent
CTYPES: Mapping[str, str] = {"float32": "float", "float64": "double", "uint8": "unsigned char"}
FUSED_ACTIVATIONS = ("linear", "sigmoid", "tanh", "relu")  # kinds of dnn::activate, by index
OPTIMIZERS = ("sgd", "adagrad", "rmsprop", "adam")  # kinds of dnn::optimize, by index

_GEOMETRY = "height, width, channels, h, w, rows, columns, s, t, d, e, top, left"
_INTS = ", ".join(f"int32 {word}" for word in _GEOMETRY.split(", "))
# Inputs, outputs and operation of each cupy.ElementwiseKernel; ``i`` is the element's index.
ELEMENTWISE: Mapping[str, tuple[str, str, str]] = {
    "advance": (
        "T beta1, T rest1, T beta2, T rest2", "T control",
        "control = dnn::advance(static_cast<int>(i), control, beta1, rest1, beta2, rest2)",
    ),
    "optimize": (
        "int32 kind, raw T numbers, raw T control, T g", "T p, T first, T second",
        "T after[dnn::CONTROL_SIZE]; for (int j = 0; j < dnn::CONTROL_SIZE; ++j) after[j] = control[j];"
        "dnn::optimize(kind, &numbers[0], after, p, g, first, second)",
    ),
    "unfold": (
        f"raw T x, {_INTS}", "T out",
        f"const long long at = dnn::unfold_index(i, {_GEOMETRY}); out = at < 0 ? T(0) : x[at]",
    ),
    "fold": (f"raw T unfolded, {_INTS}", "T dx", f"dx = dnn::fold_sum(&unfolded[0], i, {_GEOMETRY})"),
    "batch_statistics": (
        "T total, T square, T n, T momentum, T epsilon", "T mean, T inverse, T running, T variance",
        "mean = total / n; inverse = T(1) / sqrt(square / n + epsilon);"
        "running = (T(1) - momentum) * running + momentum * mean;"
        "variance = (T(1) - momentum) * variance + momentum * (square / (n - T(1)))",
    ),
    "batch_normalized": (
        "T x, T mean, T inverse, T gamma, T beta", "T y", "y = (x - mean) * (inverse * gamma) + beta",
    ),
    "batch_backward": (
        "T dy, T x, T mean, T inverse, T gamma, T dgamma, T dbeta, T n", "T dx",
        "dx = gamma * inverse * (dy - dbeta / n - (x - mean) * inverse * (dgamma / n))",
    ),
    "threefry": (
        "uint32 key0, uint32 key1, int64 high, int64 low", "int64 out",
        "out = dnn::threefry<long long>(high, low, key0, key1)",
    ),
    "activation": ("int32 kind, T z", "T y", "y = dnn::activate(kind, z)"),
    "activation_backward": ("int32 kind, T dy, T y", "T dz", "dz = dnn::activate_backward(kind, dy, y)"),
}  # fmt: skip


def arithmetic() -> str:
    """Return the text that precedes every kernel."""
    return (FOLDER / "arithmetic.cuh").read_text(encoding="utf-8")


def function(name: str) -> str:
    """Return one function template of ``arithmetic``, for a compiler that adds its own qualifiers."""
    rest = arithmetic().partition(f"DNN_HD T {name}(")[2]
    body, end, _ = rest.partition("\n}\n")
    return f"template <class T>\nT {name}({body}{end}"


# In the reproducible precision a product is rounded before it is added.
OPTIONS: Mapping[str, tuple[str, ...]] = {"multiply_in_order": ("--fmad=false",)}
_KERNEL = re.compile(r"^__global__ void[^{;]*?(\w+)\(([^)0-9][^)]*)\) \{\n.*?^\}\n", re.MULTILINE | re.DOTALL)


@cache
def _split() -> tuple[str, Mapping[str, tuple[tuple[str, ...], str]]]:
    """Return (the text outside of kernels, kernel name -> (its arguments' types, its text))."""
    text = (FOLDER / "kernels.cu").read_text(encoding="utf-8")
    kernels = {}
    for match in _KERNEL.finditer(text):
        types = re.findall(r"(?:const )?(\w[\w ]*\*?) \w+(?:,|$)", match[2])
        kernels[match[1]] = tuple(types), match[0]
    return arithmetic() + text.partition('extern "C" {')[0], kernels


def kernels() -> dict[str, tuple[str, ...]]:
    """Return kernel name -> its arguments' types: "int", "REAL*", "PIXEL*" or "long long*"."""
    return {name: types for name, (types, _) in _split()[1].items()}


def module(names: Iterable[str], real: str, pixel: str) -> str:
    """Return the text of these kernels; REAL is "float" or "double", PIXEL the same or "unsigned char"."""
    head, kernels = _split()
    texts = "\n".join(kernels[name][1] for name in names)
    return f'#define REAL {real}\n#define PIXEL {pixel}\n{head}\nextern "C" {{\n{texts}}}\n'
