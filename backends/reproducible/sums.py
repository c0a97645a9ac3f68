"""Matrix products and sums in a fixed order. A library's order depends on processor, shape and threads.

A product is sum_k x_ik W_kj with k = 0, 1, ... in this order. Each x_ik W_kj is rounded before it is added:
there is no fused multiply-add. Other sums are taken by halves. Of n numbers along an axis, the first n // 2
are added to the last n // 2, and a number in the middle follows these sums. This is repeated until one number
is left.
"""

from collections.abc import Callable
from math import prod
from typing import Any

from numpy.lib.array_utils import normalize_axis_tuple

from backends.reference.arithmetic import blocks, quotient
from backends.reference.signatures import Array
from backends.reproducible.functions import is_float

Function = Callable[..., Array]
BLOCK_SIZE = 2**14  # elements of a product that are computed at a time: they stay in the cache
Axes = int | tuple[int, ...] | None


def _add_products(xp: Any, a: Array, b: Array) -> Array:
    """Return the product of (..., n, k) and (..., k, m), k at least 1."""
    total = a[..., 0:1] * b[..., 0:1, :]
    for k in range(1, a.shape[-1]):
        total += a[..., k : k + 1] * b[..., k : k + 1, :]
    return total


def multiply_matrices(xp: Any, a: Array, b: Array) -> Array:
    """Return the product of (n, k) and (k, m), in blocks of rows."""
    n, m = a.shape[0], b.shape[1]
    if m < n:  # the inner loop is a row of the result, and long loops are faster
        return multiply_matrices(xp, b.T, a.T).T
    rows_of_b = xp.empty(b.shape, dtype=b.dtype, device=b.device)  # contiguous
    rows_of_b[...] = b
    result = xp.empty((n, m), dtype=a.dtype, device=a.device)
    for block in blocks(n, BLOCK_SIZE // max(1, m)):
        result[block, ...] = _add_products(xp, a[block, ...], rows_of_b)
    return result


def matmul(xp: Any, a: Array, b: Array, /, multiply: Any = multiply_matrices) -> Array:
    """Return the product of (..., n, k) and (..., k, m), or of vectors, as in the standard.

    Args:
        multiply: function of (xp, a, b) for matrices of one float dtype.
    """
    if not (is_float(xp, a) and is_float(xp, b)):
        return xp.matmul(a, b)
    if a.ndim == 1:
        return matmul(xp, a[None, :], b)[..., 0, :]
    if b.ndim == 1:
        return matmul(xp, a, b[:, None])[..., 0]
    if a.shape[-1] != b.shape[-2] or a.shape[-1] == 0:
        return xp.matmul(a, b)  # raises the library's error, or returns zeros for length 0
    if a.ndim == b.ndim == 2 and a.dtype == b.dtype:
        return multiply(xp, a, b)
    return _add_products(xp, a, b)


def sum_by_halves(
    xp: Any, x: Array, /, *, axis: Axes = None, dtype: Any = None, keepdims: bool = False
) -> Array:
    """Return the sum along the axes, one after the other from the last to the first; None: of all numbers."""
    if dtype is not None:
        x = xp.astype(x, dtype, copy=False)
    if not is_float(xp, x) or 0 in x.shape:
        return xp.sum(x, axis=axis, keepdims=keepdims)
    chosen = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    axes = sorted(chosen, reverse=True)
    total = x if axes else x + 0.0  # a copy, because a sum never shares memory with x
    for a in axes:
        rows = xp.moveaxis(total, a, 0)
        while (n := rows.shape[0]) > 1:
            half = n // 2
            pairs = rows[:half, ...] + rows[n - half :, ...]
            rows = xp.concat([pairs, rows[half : n - half, ...]], axis=0) if n % 2 else pairs
        total = rows[0, ...]
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    return xp.reshape(total, shape) if keepdims else total


def mean(xp: Any, x: Array, /, *, axis: Axes = None, keepdims: bool = False) -> Array:
    """Return the sum divided by the number of elements."""
    total = sum_by_halves(xp, x, axis=axis, keepdims=keepdims)
    return quotient(xp, total, prod(x.shape) / max(1, prod(total.shape)))


FUNCTIONS: dict[str, Function] = {"matmul": matmul, "sum": sum_by_halves, "mean": mean}
