"""The CUDA kernel of the reproducible precision: products of matrices, with their terms in order.

CuPy compiles all kernels with flush-to-zero. So float32 results have the bits of the other backends as long
as no number is denormal (below 1.2e-38).
"""

from functools import partial
from typing import Any

from backends.cupy.compilation import launch
from backends.reference.signatures import Array
from backends.reproducible.sums import matmul

THREADS = 256  # per block


def multiply_matrices(xp: Any, a: Array, b: Array) -> Array:
    """Return the product of (n, k) and (k, m)."""
    n, depth = a.shape
    m = b.shape[1]
    out = xp.empty((n, m), dtype=a.dtype)
    if out.size:
        blocks = -(-n * m // THREADS)
        contiguous = (xp.ascontiguousarray(factor) for factor in (a, b))
        launch("multiply_in_order", (blocks,), (THREADS,), *contiguous, out, n, depth, m)
    return out


def functions(xp: Any) -> dict[str, Any]:
    """Return the functions that replace those of the namespace: name -> function."""
    return {"matmul": partial(matmul, xp, multiply=multiply_matrices)}
