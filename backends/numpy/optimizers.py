"""NumPy overrides for optimizers: each block of the flat vectors stays in the cache for all passes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends.dispatch import override
from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR, advance_adam_control
from backends.reference.signatures import Arrays, Numbers

Array = np.ndarray
BLOCK_SIZE = 49152  # elements of a flat vector; the block stays in the cache for all passes


def _blocks(*vectors: Array) -> Iterator[list[Array]]:
    """Yield [one block of each vector, scratch memory of the same size]."""
    scratch = np.empty(BLOCK_SIZE, dtype=vectors[0].dtype)
    for start in range(0, vectors[0].size, BLOCK_SIZE):
        block = [vector[start : start + BLOCK_SIZE] for vector in vectors]
        yield [*block, scratch[: block[0].size]]


def _flush(control: Array, moment: Array, scratch: Array) -> None:
    if control[UPDATES] % FLUSH_EVERY == 0:
        np.abs(moment, out=scratch)
        moment[scratch < MOMENT_FLOOR] = 0.0


def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (velocity,) = slots
    momentum, nesterov = settings
    control[UPDATES] += 1.0
    rate = control[RATE]
    for pb, gb, vb, s in _blocks(p, g, velocity):
        step = gb
        if momentum != 0.0:
            vb *= momentum
            vb += gb
            _flush(control, vb, s)
            step = vb
            if nesterov:
                step = np.multiply(vb, momentum, out=s)
                step += gb
        pb -= np.multiply(step, rate, out=s)


def advance_adam(control: Array, beta1: float, beta2: float, epsilon: float) -> tuple[Any, Any]:
    """Advance the control array by one update; return (rate, floor) of the step.

    The step is rate * m / (sqrt(v) + floor). This is Adam's rate / c1 * m / (sqrt(v) / root + epsilon) with
    root = sqrt(c2) moved out of the division.
    """
    advance_adam_control(control, beta1, beta2)
    root = np.sqrt(control[BIAS_2])
    return control[RATE] / control[BIAS_1] * root, epsilon * root


@override("adamw")
@override()
def adam(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
    factor = 1.0 - control[RATE] * decay[0] if decay else 1.0  # AdamW multiplies p by it
    rate, floor = advance_adam(control, beta1, beta2, epsilon)
    for pb, gb, mb, vb, s in _blocks(p, g, m, v):
        if factor != 1.0:
            pb *= factor
        mb *= beta1
        mb += np.multiply(gb, 1.0 - beta1, out=s)
        _flush(control, mb, s)
        vb *= beta2
        np.multiply(gb, gb, out=s)
        s *= 1.0 - beta2
        vb += s
        _flush(control, vb, s)
        np.sqrt(vb, out=s)
        s += floor
        np.divide(mb, s, out=s)
        s *= rate
        pb -= s
