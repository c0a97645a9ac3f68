"""NumPy's kernels of a dense network: picking a batch, activations, products, the loss.

The same formulas as the reference's, written into the arrays that are there.
"""

from typing import Any

import numpy as np

from backends.dispatch import override
from backends.numpy.products import product
from backends.reference.signatures import Arrays

Array = np.ndarray


def gather_rows(xp: Any, rows: Array, index: Array, out: Array, scale: float) -> None:
    if rows.dtype == out.dtype:
        rows.take(index, axis=0, out=out, mode="clip")
    else:
        np.copyto(out, rows.take(index, axis=0, mode="clip"), casting="unsafe")
    if scale != 1.0:
        out *= scale


def scatter_rows(xp: Any, rows: Array, index: Array, out: Array) -> None:
    order = np.argsort(index, kind="stable")
    numbers, starts = np.unique(index[order], return_index=True)
    out.fill(0.0)
    if numbers.size:
        out[numbers] = np.add.reduceat(rows[order], starts, axis=0)


def _sigmoid(z: Array, y: Array) -> None:
    np.negative(z, out=y)
    with np.errstate(over="ignore"):  # exp(-z) = inf gives the right limit, 0
        np.exp(y, out=y)
    y += 1.0
    np.reciprocal(y, out=y)


def _softmax(z: Array, y: Array) -> None:
    np.subtract(z, z.max(axis=-1, keepdims=True), out=y)
    np.exp(y, out=y)
    y /= y.sum(axis=-1, keepdims=True)


_FORWARD = {
    "linear": lambda z, y: None if y is z else np.copyto(y, z),
    "sigmoid": _sigmoid,
    "tanh": lambda z, y: np.tanh(z, out=y),
    "relu": lambda z, y: np.maximum(z, 0.0, out=y),
    "softmax": _softmax,
}


@override(kinds=_FORWARD)
def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    _FORWARD[kind](z, y)


def _sigmoid_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    slope = np.subtract(1.0, y)
    slope *= y
    np.multiply(dy, slope, out=dz)


def _tanh_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    slope = np.multiply(y, y)
    np.subtract(1.0, slope, out=slope)
    np.multiply(dy, slope, out=dz)


def _relu_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    if dz is not dy:
        np.copyto(dz, dy)
    # The mask takes bits, 0 or all of them: 0 * inf would be NaN, and dz[z <= 0] = 0 takes ten times as long.
    keep = np.less_equal(z, 0).view(np.int8)
    keep -= 1
    bits = dz.view(f"i{dz.itemsize}")
    np.bitwise_and(bits, keep, out=bits)


def _softmax_backward(dy: Array, z: Array, y: Array, dz: Array) -> None:
    inner = np.einsum("...i,...i->...", dy, y)[..., None]
    np.subtract(dy, inner, out=dz)
    dz *= y


_BACKWARD = {
    "linear": lambda dy, z, y, dz: None if dz is dy else np.copyto(dz, dy),
    "sigmoid": _sigmoid_backward,
    "tanh": _tanh_backward,
    "relu": _relu_backward,
    "softmax": _softmax_backward,
}


@override(kinds=_BACKWARD)
def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    _BACKWARD[kind](dy, z, y, dz)


@override(kinds=_FORWARD)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    product(x, W, y)
    y += b
    _FORWARD[kind](y, y)


@override(kinds=_BACKWARD)
def dense_backward(
    xp: Any, kind: str, dy: Array, x: Array, y: Array, W: Array, dz: Array, gradients: Arrays
) -> None:
    _BACKWARD[kind](dy, y, y, dz)
    products_backward(x, W, dz, gradients)


def add_product(xp: Any, a: Array, b: Array, g: Array) -> None:
    g += a @ b


def products_backward(x: Array, W: Array, dz: Array, gradients: Arrays) -> None:
    """What is left of ``dense_backward`` when dz is there."""
    dW, db, dx = gradients
    product(x.T, dz, dW)
    # A product with ones: BLAS is faster than sum(axis=0), and its partial sums round less.
    np.matmul(np.ones(dz.shape[0], dtype=dz.dtype), dz, out=db)
    if dx is not None:
        product(dz, W.T, dx)


@override(kinds=("integer",))
def softmax_cross_entropy(
    xp: Any, kind: str, logits: Array, targets: Array, losses: Array, dlogits: Array
) -> None:
    rows = np.arange(logits.shape[0])
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=dlogits)
    picked = dlogits[rows, targets]
    np.exp(dlogits, out=dlogits)
    total = dlogits.sum(axis=1, keepdims=True)
    np.subtract(np.log(total[:, 0]), picked, out=losses)
    dlogits /= total
    dlogits[rows, targets] -= 1.0
    dlogits /= logits.shape[0]
