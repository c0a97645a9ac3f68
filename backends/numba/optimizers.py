"""Adam and AdamW: one compiled pass over the flat vectors."""

import numpy as np

from backends.numba.compilation import jit_cached
from backends.numba.elementwise import adam_loop
from backends.numpy.kernels import NumpyKernels
from backends.numpy.optimizers import advance_adam
from backends.reference.control import RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR
from backends.reference.signatures import Arrays, Numbers

Array = np.ndarray
_adam = jit_cached(adam_loop)


class NumbaOptimizers(NumpyKernels):
    """The step of Adam."""

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return super().adam(p, g, slots, control, settings)
        (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
        factor = 1.0 - control[RATE][0] * decay[0] if decay else p.dtype.type(1)  # AdamW multiplies p by it
        rate, floor = advance_adam(control, beta1, beta2, epsilon)
        moment_floor = MOMENT_FLOOR if control[UPDATES] % FLUSH_EVERY == 0 else 0.0
        betas = map(p.dtype.type, (beta1, 1.0 - beta1, beta2, 1.0 - beta2))
        _adam(p, g, m, v, (rate[0], *betas, floor[0], p.dtype.type(moment_floor), factor))
