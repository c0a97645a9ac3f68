"""The kernels that numba's compiled loops compute faster: Adam, AdamW and the random generator."""

import numpy as np

from backends.numba.compilation import jit_cached
from backends.numba.elementwise import adam_loop
from backends.numpy.kernels import NumpyKernels
from backends.numpy.optimizers import advance_adam
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR, RATE, UPDATES
from backends.reference.random import KEY_PARITY, ROTATIONS, WORD_MASK
from backends.reference.signatures import Arrays, Numbers

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

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return super().adam(p, g, slots, control, settings)
        (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
        factor = 1.0 - control[RATE][0] * decay[0] if decay else p.dtype.type(1)  # AdamW multiplies p by it
        rate, floor = advance_adam(control, beta1, beta2, epsilon)
        moment_floor = MOMENT_FLOOR if control[UPDATES] % FLUSH_EVERY == 0 else 0.0
        betas = map(p.dtype.type, (beta1, 1.0 - beta1, beta2, 1.0 - beta2))
        _adam(p, g, m, v, (rate[0], *betas, floor[0], p.dtype.type(moment_floor), factor))

    def threefry(self, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
        _threefry((*key, key[0] ^ key[1] ^ KEY_PARITY), high, low, out)
