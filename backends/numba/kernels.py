"""The kernels that numba's compiled loops compute faster: Adam, AdamW and the random generator."""

import numpy as np

from backends.numba.compilation import jit_cached
from backends.numba.elementwise import adam_loop
from backends.numpy.kernels import NumpyKernels
from backends.reference.random import KEY_PARITY, ROTATIONS, WORD_MASK
from backends.reference.signatures import Numbers

Array = np.ndarray
_adam = jit_cached(adam_loop)


@jit_cached
def _threefry(keys, high, low, out):  # type: ignore[no-untyped-def]
    for i in range(out.shape[0]):
        x0 = (high[i if high.shape[0] > 1 else 0] + keys[0]) & WORD_MASK
        x1 = (low[i if low.shape[0] > 1 else 0] + keys[1]) & WORD_MASK
        for group in range(5):
            for r in ROTATIONS[group % 2]:
                x0 = (x0 + x1) & WORD_MASK
                x1 = (((x1 << r) | (x1 >> (32 - r))) & WORD_MASK) ^ x0
            x0 = (x0 + keys[(group + 1) % 3]) & WORD_MASK
            x1 = (x1 + keys[(group + 2) % 3] + group + 1) & WORD_MASK
        out[i] = ((x0 >> 1) << 32) | x1


class NumbaKernels(NumpyKernels):
    """NumPy's kernels, some of them as compiled loops: one pass over the vectors, all rounds of a counter."""

    def _step_adam(self, p: Array, g: Array, m: Array, v: Array, step: Numbers) -> None:
        _adam(p, g, m, v, step)

    def threefry(self, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
        _threefry((*key, key[0] ^ key[1] ^ KEY_PARITY), high, low, out)
