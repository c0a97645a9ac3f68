"""Compiled matrix products for the reproducible precision, with the bits of ``backends.reproducible``.

They are compiled without fast math, so that LLVM neither fuses a product with a sum nor changes an order.
"""

from functools import partial
from typing import Any

import numpy as np

from backends.numba.compilation import jit_cached
from backends.reproducible.sums import matmul


@partial(jit_cached, fastmath=set())
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    """Write the product of (n, k) and (k, m) to out: sum_k a_ik b_kj in the order of k."""
    out[:] = -0.0  # adding a number gives the number itself, also its sign if it is 0
    for i in range(a.shape[0]):
        for k in range(a.shape[1]):
            factor = a[i, k]
            for j in range(b.shape[1]):
                out[i, j] += factor * b[k, j]


def multiply_matrices(xp: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of (n, k) and (k, m)."""
    out = np.empty((a.shape[0], b.shape[1]), dtype=a.dtype)
    _multiply(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out


def functions(xp: Any) -> dict[str, Any]:
    """Return the functions that replace those of the namespace: name -> function."""
    return {"matmul": partial(matmul, xp, multiply=multiply_matrices), "sqrt": np.sqrt}
