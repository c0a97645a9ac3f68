"""Matrix products, and how to get from one thread the bits that several give.

OpenBLAS adds up a product's terms in blocks of at most Q (GEMM_Q of its architecture), and what is left of
up to 2 Q in halves: of the same length where it has several threads, in whole registers where it has one
(driver/level3/level3.c and level3_thread.c). So one thread is given each block as a product of its own.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import numpy as np

from backends.numpy import blas
from backends.reference.signatures import Array

LONGEST = (448, 384, 320, 352, 512, 640, 256)  # Q of common processors
LEAST = (1 << 19, 1_000_000)  # multiplications up to which one thread computes a product anyhow
AS_IT_IS = 0, 0
_blocks = AS_IT_IS  # (Q, least), for the whole process, as the BLAS's threads are


def product(a: Array, b: Array, out: Array) -> None:
    """Write a b; of a (m, k), b (k, n)."""
    k, start, (longest, least) = a.shape[1], 0, _blocks
    if not 0 < longest < k or out.size * k <= least:
        np.matmul(a, b, out=out)
        return
    while start < k:
        left = k - start
        stop = start + (longest if left >= 2 * longest else left if left <= longest else (left + 1) // 2)
        if start:
            out += a[:, start:stop] @ b[start:stop]
        else:
            np.matmul(a[:, :stop], b[:stop], out=out)
        start = stop


def column_sums(x: Array, out: Array | None = None) -> Array:
    """As a product with ones: BLAS is faster than sum(axis=0), and its partial sums round less."""
    return np.matmul(np.ones(x.shape[0], dtype=x.dtype), x, out=out)


@contextmanager
def _alone(blocks: tuple[int, int]) -> Iterator[None]:
    global _blocks
    threads = blas.get_threads()
    blas.set_threads(1)
    _blocks = blocks
    try:
        yield
    finally:
        _blocks = AS_IT_IS
        blas.set_threads(threads)


def ways() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Ways to have products computed by one thread."""
    return (partial(_alone, blocks) for blocks in (AS_IT_IS, *itertools.product(LONGEST, LEAST)))
