"""Numba's kernels of a dense network: one compiled pass where NumPy needs many."""

from typing import Any

import numpy as np

from backends.dispatch import override
from backends.numba.compiling import compiled
from backends.numba.elementwise import sigmoid
from backends.numpy import dense as numpy_dense
from backends.numpy.products import product
from backends.reference.signatures import Arrays

Array = np.ndarray


@compiled
def _gather(rows, index, out, scale):  # type: ignore[no-untyped-def]
    for i in range(index.shape[0]):
        row = rows[index[i]]
        for j in range(out.shape[1]):
            out[i, j] = row[j] * scale


@compiled
def _bias_sigmoid(y, b):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            y[i, j] = sigmoid(y[i, j] + b[j])


# In place: where dz may be dy, a loop that has both is not vectorised.
@compiled
def _sigmoid_backward(dz, y):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            dz[i, j] = dz[i, j] * (y[i, j] - y[i, j] * y[i, j])


@compiled
def _bias_relu(y, b):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            z = y[i, j] + b[j]
            y[i, j] = y.dtype.type(0) if z < 0 else z  # a NaN stays


@compiled
def _relu_backward(dz, y):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            kept = dz[i, j]
            dz[i, j] = dz.dtype.type(0) if y[i, j] <= 0 else kept


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.ndim == 2 and rows.dtype == np.uint8:
        _gather(rows, index, out, out.dtype.type(scale))
    else:
        numpy_dense.gather_rows(xp, rows, index, out, scale)


_BIAS_ACTIVATION = {"sigmoid": _bias_sigmoid, "relu": _bias_relu}
_BACKWARD = {"sigmoid": _sigmoid_backward, "relu": _relu_backward}


@override(dtypes=("float32",), kinds=_BIAS_ACTIVATION)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    product(x, W, y)
    _BIAS_ACTIVATION[kind](y, b)


@override(kinds=_BACKWARD)
def dense_backward(
    xp: Any, kind: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    if dz is not dy:
        np.copyto(dz, dy)
    _BACKWARD[kind](dz, y)
    numpy_dense.products_backward(x, W, dz, gradients)
