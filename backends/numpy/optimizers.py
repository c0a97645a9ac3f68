"""NumPy's steps of the optimizers: each block of the flat vectors stays in the cache for all operations."""

from collections.abc import Callable
from typing import Any

import numpy as np

from backends.reference import Kernels
from backends.reference.arithmetic import blocks
from backends.reference.optimizers import (
    FLUSH_EVERY,
    MOMENT_FLOOR,
    RATE,
    UPDATES,
    advance_adam_control,
)
from backends.reference.signatures import Array, Arrays, Numbers

BLOCK_SIZE = 49152  # elements of a flat vector


def _in_blocks(reference: Callable[..., None]) -> Callable[..., None]:
    """Return the step for one block after another, each with the same control array."""

    def step(self: Kernels, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        before = control.copy()
        for block in blocks(max(1, p.size), BLOCK_SIZE):  # without numbers, ``control`` advances too
            control[...] = before
            reference(self, p[block], g[block], tuple(slot[block] for slot in slots), control, settings)

    return step


def advance_adam(control: Array, beta1: float, beta2: float, epsilon: float) -> tuple[Any, Any]:
    """Advance the control array by one update; return (rate, floor) of the step.

    The step is rate * m / (sqrt(v) + floor). This is Adam's rate / c1 * m / (sqrt(v) / root + epsilon) with
    root = sqrt(c2) moved out of the division.
    """
    advance_adam_control(control, beta1, beta2)
    rate, c1, c2, _ = control
    root = np.sqrt(c2)
    return rate / c1 * root, epsilon * root


class NumpyOptimizers(Kernels):
    """The references' steps in blocks; Adam without AMSGrad has fewer operations."""

    sgd = _in_blocks(Kernels.sgd)
    adagrad = _in_blocks(Kernels.adagrad)
    rmsprop = _in_blocks(Kernels.rmsprop)
    _adam_in_blocks = _in_blocks(Kernels.adam)

    def _flush(self, moment: Array, updates: Array) -> Array:
        return moment if updates[0] % FLUSH_EVERY else super()._flush(moment, updates)

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return self._adam_in_blocks(p, g, slots, control, settings)
        (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
        factor = 1.0 - control[RATE][0] * decay[0] if decay else 1.0
        rate, floor = advance_adam(control, beta1, beta2, epsilon)
        moment_floor = MOMENT_FLOOR if control[UPDATES] % FLUSH_EVERY == 0 else 0.0
        numbers = rate, beta1, 1.0 - beta1, beta2, 1.0 - beta2, floor, moment_floor, factor
        self._step_adam(p, g, m, v, tuple(map(p.dtype.type, numbers)))

    def _step_adam(self, p: Array, g: Array, m: Array, v: Array, step: Numbers) -> None:
        """Make a step of Adam, or of AdamW, which first multiplies p by ``factor``."""
        rate, beta1, rest1, beta2, rest2, floor, moment_floor, factor = step
        for block in blocks(p.size, BLOCK_SIZE):
            pb, gb, mb, vb = p[block], g[block], m[block], v[block]
            mb *= beta1
            mb += rest1 * gb
            vb *= beta2
            vb += rest2 * (gb * gb)
            if moment_floor:
                for moment in (mb, vb):
                    moment[np.abs(moment) < moment_floor] = 0.0
            if factor != 1.0:
                pb *= factor
            pb -= rate * (mb / (np.sqrt(vb) + floor))
