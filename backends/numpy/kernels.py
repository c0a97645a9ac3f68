"""The kernels that NumPy computes faster than the reference."""

import numpy as np

from backends.numpy.dense import NumpyDense
from backends.numpy.images import NumpyImages
from backends.numpy.optimizers import NumpyOptimizers
from backends.reference.random import ROTATIONS, key_words
from backends.reference.signatures import Array, Key


class NumpyKernels(NumpyDense, NumpyImages, NumpyOptimizers):
    """Kernels on NumPy's arrays; ``xp`` is array_api_compat.numpy."""

    def threefry(self, key: Key, high: Array, low: Array, out: Array) -> None:
        """Compute in 32-bit words: unsigned arithmetic wraps, so no mask is needed."""
        keys = np.asarray(key_words(key), dtype=np.uint32)
        x0 = np.broadcast_to(high.astype(np.uint32) + keys[0], out.shape).copy()
        x1 = np.broadcast_to(low.astype(np.uint32) + keys[1], out.shape).copy()
        rotated = np.empty_like(x1)
        for group in range(5):
            for r in ROTATIONS[group % 2]:
                x0 += x1
                np.left_shift(x1, r, out=rotated)
                x1 >>= 32 - r
                x1 |= rotated
                x1 ^= x0
            x0 += keys[(group + 1) % 3]
            x1 += keys[(group + 2) % 3]
            x1 += group + 1
        x0 >>= 1
        out[...] = x0
        out <<= 32
        out |= x1
