"""The kernels that numba's compiled loops compute faster: Adam, AdamW and the random generator."""

import numba

from backends.numba.compilation import jit_cached
from backends.numba.elementwise import adam_loop
from backends.numpy.kernels import NumpyKernels
from backends.reference.random import key_words, threefry_integer
from backends.reference.signatures import Array, Key, Numbers

_adam = jit_cached(adam_loop)
_threefry_integer = numba.njit(threefry_integer, inline="always")  # as a call it takes twice the time


@jit_cached
def _threefry(keys, high, low, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        first = high[i if high.shape[0] > 1 else 0]
        second = low[i if low.shape[0] > 1 else 0]
        out[i] = _threefry_integer(keys, first, second)


class NumbaKernels(NumpyKernels):
    """NumPy's kernels, some of them as compiled loops: one pass over the vectors, all rounds of a counter."""

    def _step_adam(self, p: Array, g: Array, m: Array, v: Array, step: Numbers) -> None:
        _adam(p, g, m, v, step)

    def threefry(self, key: Key, high: Array, low: Array, out: Array) -> None:
        _threefry(key_words(key), high, low, out)
