"""NumPy arrays with Numba's compiled loops where NumPy needs many passes (the extra ``fast``).

One thread beside the BLAS: a second pool of waiting threads would cost more than it saves. The loops are
compiled on first use for the machine at hand and kept on disk, beside the package's own byte code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from backends.dispatch import Override
from backends.numba.optimizers import OPTIMIZER_OVERRIDES
from backends.numba.optimizers import compiled as _compiled
from backends.numpy import backend as numpy_backend
from backends.numpy.backend import NumpyBackend

Array = np.ndarray


@_compiled
def _gather(rows, index, out, scale):  # type: ignore[no-untyped-def]
    for i in range(index.shape[0]):
        row = rows[index[i]]
        for j in range(out.shape[1]):
            out[i, j] = row[j] * scale


@intrinsic
def _power_of_two(typing_context, n):  # type: ignore[no-untyped-def]
    """2^n as float32 for an int32 n from -126 to 127: n + 127 as the exponent's bits."""

    def code(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        n32 = builder.trunc(arguments[0], ir.IntType(32)) if n.bitwidth > 32 else arguments[0]
        bits = builder.shl(builder.add(n32, ir.Constant(n32.type, 127)), ir.Constant(n32.type, 23))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(n), code


@_compiled
def _bias_sigmoid(y, b):  # type: ignore[no-untyped-def]
    """y = 1 / (1 + exp(-(y + b))) in one vectorised pass.

    exp(t) = 2^n exp(r), |r| <= ln 2 / 2, with the polynomial of Cephes' expf (Moshier), below 2 ULP. For
    z < -88.3 the result is 0, where it would be a denormal number.
    """
    f = np.float32
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            z = y[i, j] + b[j]
            t = min(max(-z, f(-87.0)), f(88.3))
            n = np.floor(t * f(1.44269504088896341) + f(0.5))
            r = t - n * f(0.693359375)
            r -= n * f(-2.12194440e-4)
            q = f(1.9875691500e-4)
            q = q * r + f(1.3981999507e-3)
            q = q * r + f(8.3334519073e-3)
            q = q * r + f(4.1665795894e-2)
            q = q * r + f(1.6666665459e-1)
            q = q * r + f(5.0000001201e-1)
            e = (q * r * r + r + f(1.0)) * _power_of_two(np.int32(n))
            s = f(1.0) / (f(1.0) + e)
            s = f(0.0) if z < f(-88.3) else s
            y[i, j] = s if z == z else z


@_compiled
def _sigmoid_backward(dy, y, dz):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dz[i, j] = dy[i, j] * (y[i, j] - y[i, j] * y[i, j])


@_compiled
def _bias_relu(y, b):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            z = y[i, j] + b[j]
            y[i, j] = y.dtype.type(0) if z < 0 else z  # a NaN stays


@_compiled
def _relu_backward(dy, y, dz):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dz[i, j] = dy.dtype.type(0) if y[i, j] <= 0 else dy[i, j]


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.ndim == 2 and rows.dtype == np.uint8:
        _gather(rows, index, out, out.dtype.type(scale))
    else:
        numpy_backend.gather_rows(xp, rows, index, out, scale)


_BIAS_ACTIVATION = {"sigmoid": _bias_sigmoid, "relu": _bias_relu}
_BACKWARD = {"sigmoid": _sigmoid_backward, "relu": _relu_backward}


def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    np.matmul(x, W, out=y)
    _BIAS_ACTIVATION[kind](y, b)


def dense_backward(
    xp: Any,
    kind: str,
    dy: Array,
    x: Array,
    y: Array,
    W: Array,
    dz: Array,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    _BACKWARD[kind](dy, y, dz)
    numpy_backend.products_backward(x, W, dz, dW, db, dx)


@dataclass(frozen=True, eq=False)
class NumbaBackend(NumpyBackend):
    """NumPy's backend with compiled optimizers and batch picking."""

    OVERRIDES: ClassVar[Mapping[str, Override]] = {
        **NumpyBackend.OVERRIDES,
        "gather_rows": Override(gather_rows),
        "dense": Override(
            dense, ("float32",), ("sigmoid", "relu"), otherwise=NumpyBackend.OVERRIDES["dense"]
        ),
        "dense_backward": Override(
            dense_backward, kinds=("sigmoid", "relu"), otherwise=NumpyBackend.OVERRIDES["dense_backward"]
        ),
        **OPTIMIZER_OVERRIDES,
    }

    def describe_library(self) -> dict[str, Any]:
        return {"numba": numba.__version__, **super().describe_library()}


def make(device: Any, dtype: str, fused: bool) -> NumbaBackend:
    """The factory that ``get_backend("numba")`` calls."""
    plain = numpy_backend.make(device, dtype, fused)
    return NumbaBackend("numba", plain.xp, plain.device, dtype, fused)
