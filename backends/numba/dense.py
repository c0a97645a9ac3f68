"""Numba's kernels of a dense network: one compiled pass where NumPy needs many."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from backends.dispatch import override
from backends.numba.compiling import compiled
from backends.numpy import dense as numpy_dense
from backends.reference.signatures import Arrays

Array = np.ndarray


@compiled
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


@compiled
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


@compiled
def _sigmoid_backward(dy, y, dz):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dz[i, j] = dy[i, j] * (y[i, j] - y[i, j] * y[i, j])


@compiled
def _bias_relu(y, b):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            z = y[i, j] + b[j]
            y[i, j] = y.dtype.type(0) if z < 0 else z  # a NaN stays


@compiled
def _relu_backward(dy, y, dz):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dz[i, j] = dy.dtype.type(0) if y[i, j] <= 0 else dy[i, j]


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.ndim == 2 and rows.dtype == np.uint8:
        _gather(rows, index, out, out.dtype.type(scale))
    else:
        numpy_dense.gather_rows(xp, rows, index, out, scale)


_BIAS_ACTIVATION = {"sigmoid": _bias_sigmoid, "relu": _bias_relu}
_BACKWARD = {"sigmoid": _sigmoid_backward, "relu": _relu_backward}


@override(dtypes=("float32",), kinds=_BIAS_ACTIVATION)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    np.matmul(x, W, out=y)
    _BIAS_ACTIVATION[kind](y, b)


@override(kinds=_BACKWARD)
def dense_backward(
    xp: Any, kind: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    _BACKWARD[kind](dy, y, dz)
    numpy_dense.products_backward(x, W, dz, gradients)
