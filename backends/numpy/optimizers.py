"""NumPy's steps of the optimizers: each block of the flat vectors stays in the cache for all passes."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends.reference import Kernels
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


def _must_flush(control: Array) -> bool:
    """Whether this update sets moments below MOMENT_FLOOR to 0."""
    return bool(control[UPDATES] % FLUSH_EVERY == 0)


def _flush(moment: Array, scratch: Array) -> None:
    np.abs(moment, out=scratch)
    moment[scratch < MOMENT_FLOOR] = 0.0


def _update_average(moment: Array, decay: float, new: Array, scratch: Array, flush: bool) -> None:
    """moment = decay moment + (1 - decay) new; ``new`` may be the scratch memory."""
    moment *= decay
    moment += np.multiply(new, 1.0 - decay, out=scratch)
    if flush:
        _flush(moment, scratch)


def _divide_by_root(x: Array, square: Array, floor: Any, out: Array) -> None:
    """out = x / (sqrt(square) + floor)."""
    np.sqrt(square, out=out)
    out += floor
    np.divide(x, out, out=out)


def advance_adam(control: Array, beta1: float, beta2: float, epsilon: float) -> tuple[Any, Any]:
    """Advance the control array by one update; return (rate, floor) of the step.

    The step is rate * m / (sqrt(v) + floor). This is Adam's rate / c1 * m / (sqrt(v) / root + epsilon) with
    root = sqrt(c2) moved out of the division.
    """
    advance_adam_control(control, beta1, beta2)
    root = np.sqrt(control[BIAS_2])
    return control[RATE] / control[BIAS_1] * root, epsilon * root


class NumpyOptimizers(Kernels):
    """The step of every optimizer; AMSGrad and centered RMSprop are the reference's."""

    def sgd(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (velocity,) = slots
        momentum, nesterov = settings
        control[UPDATES] += 1.0
        flush = _must_flush(control)
        rate = control[RATE]
        for pb, gb, vb, s in _blocks(p, g, velocity):
            step = gb
            if momentum != 0.0:
                vb *= momentum
                vb += gb
                if flush:
                    _flush(vb, s)
                step = vb
                if nesterov:
                    step = np.multiply(vb, momentum, out=s)
                    step += gb
            pb -= np.multiply(step, rate, out=s)

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return super().adam(p, g, slots, control, settings)
        (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
        factor = 1.0 - control[RATE] * decay[0] if decay else 1.0  # AdamW multiplies p by it
        rate, floor = advance_adam(control, beta1, beta2, epsilon)
        flush = _must_flush(control)
        for pb, gb, mb, vb, s in _blocks(p, g, m, v):
            if factor != 1.0:
                pb *= factor
            _update_average(mb, beta1, gb, s, flush)
            _update_average(vb, beta2, np.multiply(gb, gb, out=s), s, flush)
            _divide_by_root(mb, vb, floor, s)
            s *= rate
            pb -= s

    def adagrad(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        (total,) = slots
        (epsilon,) = settings
        control[UPDATES] += 1.0
        flush = _must_flush(control)
        for pb, gb, tb, s in _blocks(p, g, total):
            tb += np.multiply(gb, gb, out=s)
            if flush:
                _flush(tb, s)
            _divide_by_root(gb, tb, epsilon, s)
            s *= control[RATE]
            pb -= s

    def rmsprop(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return super().rmsprop(p, g, slots, control, settings)
        v, velocity = slots
        decay, epsilon, momentum = settings
        control[UPDATES] += 1.0
        flush = _must_flush(control)
        for pb, gb, vb, ub, s in _blocks(p, g, v, velocity):
            _update_average(vb, decay, np.multiply(gb, gb, out=s), s, flush)
            _divide_by_root(gb, vb, epsilon, s)
            step = s
            if momentum != 0.0:
                ub *= momentum
                ub += s
                if flush:
                    _flush(ub, s)
                step = ub
            pb -= np.multiply(step, control[RATE], out=s)
