"""Matrix products of the numpy backend, and the number of BLAS threads of each."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np

from backends.numpy.blas import numpy_blas
from backends.reference.signatures import Array

SINGLE_THREAD_LIMIT = 1 << 26  # multiply-adds; up to here a product gets one thread
UNSHARED_LIMIT = 1 << 13  # multiply-adds; up to here OpenBLAS uses one thread anyway


def blas_threads(multiply_adds: int) -> AbstractContextManager[None]:
    """Set the BLAS threads for one product, unless a section is open or a number was set explicitly.

    The number depends only on the shape. Up to SINGLE_THREAD_LIMIT a product gets one thread. On an idle
    machine an update of a small network then takes 1.1 to 1.4 times as long as with two threads. If another
    program uses one of the cores, one thread can be ten times as fast as two: threads that share a product
    wait for each other, and OpenBLAS spins.
    """
    threads = numpy_blas().threads
    if multiply_adds <= UNSHARED_LIMIT or threads.section_threads:
        return nullcontext()
    is_shared = threads.explicit or multiply_adds > SINGLE_THREAD_LIMIT
    return threads.section(threads.outside if is_shared else 1)


def product(a: Array, b: Array, out: Array | None = None) -> Array:
    """Return a b, written into ``out`` if given; a is (m, k) or (k,), b is (k, n)."""
    with blas_threads(a.size * b.shape[-1]):
        return np.matmul(a, b, out=out)


def column_sums(x: Array, out: Array | None = None) -> Array:
    """Return the sums of the columns, as a product with ones: faster than sum(axis=0), with less rounding."""
    return product(np.ones(x.shape[0], dtype=x.dtype), x, out)
