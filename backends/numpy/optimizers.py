"""NumPy's steps of the optimizers: each block of the flat vectors stays in the cache for all operations."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends.reference import Kernels
from backends.reference.optimizers import (
    BIAS_1,
    BIAS_2,
    FLUSH_EVERY,
    MOMENT_FLOOR,
    RATE,
    UPDATES,
    advance_adam_control,
)
from backends.reference.signatures import Arrays, Numbers, OptimizerStep

Array = np.ndarray
BLOCK_SIZE = 49152  # elements of a flat vector


def _blocks(size: int) -> Iterator[slice]:
    """Yield slices of BLOCK_SIZE elements; of nothing there is one, as control advances even then."""
    return (slice(start, start + BLOCK_SIZE) for start in range(0, max(1, size), BLOCK_SIZE))


def _step_blocks(
    step: OptimizerStep, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers
) -> None:
    """Call the step for one block after another, each with the same control array."""
    before = control.copy()
    for block in _blocks(p.size):
        control[...] = before
        step(p[block], g[block], tuple(slot[block] for slot in slots), control, settings)


def advance_adam(control: Array, beta1: float, beta2: float, epsilon: float) -> tuple[Any, Any]:
    """Advance the control array by one update; return (rate, floor) of the step.

    The step is rate * m / (sqrt(v) + floor). This is Adam's rate / c1 * m / (sqrt(v) / root + epsilon) with
    root = sqrt(c2) moved out of the division.
    """
    advance_adam_control(control, beta1, beta2)
    root = np.sqrt(control[BIAS_2])
    return control[RATE] / control[BIAS_1] * root, epsilon * root


class NumpyOptimizers(Kernels):
    """The references' steps in blocks; Adam without AMSGrad has fewer operations."""

    def _flush(self, moment: Array, updates: Array) -> Array:
        return moment if updates[0] % FLUSH_EVERY else super()._flush(moment, updates)

    def sgd(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        _step_blocks(super().sgd, p, g, slots, control, settings)

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return _step_blocks(super().adam, p, g, slots, control, settings)
        (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
        factor = 1.0 - control[RATE] * decay[0] if decay else 1.0  # AdamW multiplies p by it
        rate, floor = advance_adam(control, beta1, beta2, epsilon)
        for block in _blocks(p.size):
            pb, gb, mb, vb = p[block], g[block], m[block], v[block]
            mb *= beta1
            mb += (1.0 - beta1) * gb
            vb *= beta2
            vb += (1.0 - beta2) * (gb * gb)
            if control[UPDATES] % FLUSH_EVERY == 0:
                for moment in (mb, vb):
                    moment[np.abs(moment) < MOMENT_FLOOR] = 0.0
            if decay:
                pb *= factor
            pb -= rate * (mb / (np.sqrt(vb) + floor))

    def adagrad(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        _step_blocks(super().adagrad, p, g, slots, control, settings)

    def rmsprop(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        _step_blocks(super().rmsprop, p, g, slots, control, settings)
