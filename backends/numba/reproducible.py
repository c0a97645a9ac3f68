"""Compiled matrix products for the reproducible precision, with the bits of ``backends.reproducible``.

They are compiled without fast math, so that LLVM neither fuses a product with a sum nor changes an order.
"""

from functools import partial
from typing import Any

import numpy as np

from backends.numba.compilation import jit_cached
from backends.reproducible.sums import matmul

K_BLOCK = 64  # rows of b that stay in the cache for all rows of a


@partial(jit_cached, fastmath=())
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    """Write the product of (n, k) and (k, m) to out: sum_k a_ik b_kj in the order of k."""
    n, depth = a.shape
    m = b.shape[1]
    for start in range(0, depth, K_BLOCK):
        stop = min(start + K_BLOCK, depth)
        for i in range(n):
            row = out[i]
            k = start
            if k == 0:
                s = a[i, 0]
                for j in range(m):
                    row[j] = s * b[0, j]
                k = 1
            while k + 3 < stop:
                s0 = a[i, k]
                s1 = a[i, k + 1]
                s2 = a[i, k + 2]
                s3 = a[i, k + 3]
                for j in range(m):
                    total = row[j] + s0 * b[k, j]
                    total = total + s1 * b[k + 1, j]
                    total = total + s2 * b[k + 2, j]
                    row[j] = total + s3 * b[k + 3, j]
                k += 4
            while k < stop:
                s = a[i, k]
                for j in range(m):
                    row[j] = row[j] + s * b[k, j]
                k += 1


def multiply_matrices(xp: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of (n, k) and (k, m)."""
    out = np.empty((a.shape[0], b.shape[1]), dtype=a.dtype)
    _multiply(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out


def functions(xp: Any) -> dict[str, Any]:
    """Return the functions that replace those of the namespace: name -> function."""
    return {"matmul": partial(matmul, xp, multiply=multiply_matrices), "sqrt": np.sqrt}
