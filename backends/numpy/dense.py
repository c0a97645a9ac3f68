"""NumPy's kernels of dense networks: rows by index and their sums, sigmoid and ReLU, products.

The formulas are the reference's; the results are written directly into the output arrays.
"""

from typing import Any

import numpy as np

from backends.numpy.products import column_sums, product
from backends.reference import Kernels
from backends.reference.signatures import Array, Arrays


def is_sparse(x: Any) -> bool:
    """Return whether x is a sparse matrix of SciPy."""
    return hasattr(x, "tocsr")


def _for_product(x: Any, other: Array) -> Any:
    """Return x, dense if ``other`` is not finite: 0 times infinity is NaN, which a sparse product misses."""
    return x if np.isfinite(other.min()) and np.isfinite(other.max()) else x.toarray()


def _replace_by_zero(x: Array, replaced: Array, out: Array) -> None:
    """Write x, and 0 where ``replaced``. ``where``, which branches, takes ten times as long."""
    word = np.dtype(f"i{x.itemsize}")
    kept = replaced.astype(word) - 1  # all bits are 0 or 1
    np.bitwise_and(x.view(word), kept, out=out.view(word))


class NumpyDense(Kernels):
    """Dense layers, activations, rows by index and their sum. x of a dense layer may be a CSR matrix."""

    @property
    def takes_sparse(self) -> bool:
        return type(self).dense is NumpyDense.dense and not self.is_wrapped

    def gather_rows(self, rows: Array, index: Array, out: Array, scale: float) -> None:
        if scale == 1.0:
            out[...] = rows[index]
        else:
            np.multiply(rows[index], scale, out=out, dtype=out.dtype, casting="unsafe")

    def scatter_rows(self, rows: Array, index: Array, out: Array) -> None:
        out.fill(0.0)
        np.add.at(out, index, rows)

    def activation(self, name: str, z: Array, y: Array) -> None:
        if name == "sigmoid":
            np.negative(z, out=y)
            with np.errstate(over="ignore"):  # exp(-z) = inf gives the correct limit, 0
                np.exp(y, out=y)
            y += 1.0
            np.reciprocal(y, out=y)
        elif name == "relu":
            _replace_by_zero(z, z < 0, y)
        else:
            super().activation(name, z, y)

    def activation_backward(self, name: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
        if name == "relu":
            _replace_by_zero(dy, z <= 0, dz)
        else:
            super().activation_backward(name, dy, z, y, dz)

    def dense(self, x: Array, W: Array, b: Array, z: Array) -> None:
        if is_sparse(x):
            np.add(_for_product(x, W) @ W, b, out=z)
        else:
            product(x, W, z)
            z += b

    def dense_backward(self, dz: Array, x: Array, W: Array, gradients: Arrays) -> None:
        dW, db, dx = gradients
        if is_sparse(x):  # of the first layer, which has no dx
            dW[...] = _for_product(x, dz).T @ dz
            np.sum(dz, axis=0, out=db)
            return
        product(x.T, dz, dW)
        column_sums(dz, db)
        if dx is not None:
            product(dz, W.T, dx)
