"""Matrix products of the numpy backend, and how many BLAS threads each of them gets."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from backends.numpy.blas import numpy_blas
from backends.reference.signatures import Array

SINGLE_THREAD_LIMIT = 1 << 26  # multiply-adds of a product up to which it gets one thread
UNSHARED_LIMIT = 1 << 13  # multiply-adds up to which OpenBLAS takes one thread anyway


def product_threads(multiply_adds: int, available: int) -> int:
    """Return the number of BLAS threads for one product; its shape alone decides.

    Up to SINGLE_THREAD_LIMIT a product gets one thread. An update of a small network then takes 1.1 to 1.4
    times as long as with two threads on a quiet machine, and down to a tenth of the time where another
    program uses one of the cores: threads that share a product wait for each other, and OpenBLAS spins.
    """
    return 1 if multiply_adds <= SINGLE_THREAD_LIMIT else available


@contextmanager
def blas_threads(multiply_adds: int) -> Iterator[None]:
    """Give one product its number of BLAS threads, unless a section or a number was asked for explicitly."""
    blas = None if multiply_adds <= UNSHARED_LIMIT else numpy_blas()
    if blas is None or blas.threads.held:
        yield
        return
    available = blas.threads.outside
    n = available if blas.threads.explicit else product_threads(multiply_adds, available)
    with blas.threads.section(n):
        yield


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return a b, also written into ``out``; of a (m, k) or (k,) and b (k, n)."""
    with blas_threads(a.size * b.shape[-1]):
        return np.matmul(a, b, out=out)


def column_sums(x: Array, out: Array | None = None) -> Array:
    """As a product with ones: BLAS is faster than sum(axis=0), and its partial sums round less."""
    return product(np.ones(x.shape[0], dtype=x.dtype), x, out)
