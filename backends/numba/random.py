"""The random generator, compiled: all rounds for one block of counters, which stays in the cache."""

import numpy as np

from backends.numba.compilation import jit_cached
from backends.reference import Kernels
from backends.reference.random import KEY_PARITY, ROTATIONS

Array = np.ndarray
BLOCK_SIZE = 1024  # counters; their words stay in the cache


@jit_cached
def _threefry(keys, high, low, out):  # type: ignore[no-untyped-def]
    a = np.empty(BLOCK_SIZE, np.uint32)
    b = np.empty(BLOCK_SIZE, np.uint32)
    for start in range(0, out.shape[0], BLOCK_SIZE):
        n = min(BLOCK_SIZE, out.shape[0] - start)
        for i in range(n):
            a[i] = np.uint32(high[start + i if high.shape[0] > 1 else 0]) + keys[0]
            b[i] = np.uint32(low[start + i if low.shape[0] > 1 else 0]) + keys[1]
        for group in range(5):
            for r in ROTATIONS[group % 2]:
                for i in range(n):
                    a[i] += b[i]
                    b[i] = ((b[i] << np.uint32(r)) | (b[i] >> np.uint32(32 - r))) ^ a[i]
            for i in range(n):
                a[i] += keys[(group + 1) % 3]
                b[i] += keys[(group + 2) % 3] + np.uint32(group + 1)
        for i in range(n):
            out[start + i] = (np.int64(a[i] >> np.uint32(1)) << 32) | np.int64(b[i])


class NumbaRandom(Kernels):
    """The generator."""

    def threefry(self, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
        _threefry(np.asarray([*key, key[0] ^ key[1] ^ KEY_PARITY], np.uint32), high, low, out)
