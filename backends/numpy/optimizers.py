"""NumPy's optimizers, penalty and clipping: a block of the flat vectors takes all passes in the cache."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from backends.reference.gradients import NORM_FLOOR
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR
from backends.reference.signatures import Arrays, Numbers

Array = np.ndarray
BLOCK = 49152  # elements of a flat vector worked on at a time, so that all passes stay in the cache


def clip_norm(xp: Any, g: Array, limit: float) -> None:
    factor = limit / (np.sqrt(np.dot(g, g)) + NORM_FLOOR)
    if not factor >= 1.0:  # a NaN too
        g *= factor


def clip_value(xp: Any, g: Array, limit: float) -> None:
    np.clip(g, -limit, limit, out=g)


def _blocks(*vectors: Array) -> Iterator[list[Array]]:
    """The vectors a block at a time, and after them scratch memory of the block's size."""
    scratch = np.empty(BLOCK, dtype=vectors[0].dtype)
    for start in range(0, vectors[0].size, BLOCK):
        block = [vector[start : start + BLOCK] for vector in vectors]
        yield [*block, scratch[: block[0].size]]


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    for wb, gb, s in _blocks(w, g):
        if l2 != 0.0:
            np.multiply(wb, 2.0 * l2, out=s)
            gb += s
        if l1 != 0.0:
            np.sign(wb, out=s)
            s *= l1
            gb += s


def _flush(moment: Array, scratch: Array) -> None:
    np.abs(moment, out=scratch)
    moment[scratch < MOMENT_FLOOR] = 0.0


def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (velocity,), (momentum, nesterov) = slots, settings
    control[3] += 1.0
    flush_now = control[3] % FLUSH_EVERY == 0
    rate = control[0]
    for pb, gb, vb, s in _blocks(p, g, velocity):
        if momentum == 0.0:
            np.multiply(gb, rate, out=s)
        else:
            vb *= momentum
            vb += gb
            if flush_now:
                _flush(vb, s)
            if nesterov:
                np.multiply(vb, momentum, out=s)
                s += gb
                s *= rate
            else:
                np.multiply(vb, rate, out=s)
        pb -= s


def advance_adam(control: Array, beta1: float, beta2: float, epsilon: float) -> tuple[Any, Any]:
    """Count one update in the control array; the step is then rate * m / (sqrt(v) + floor).

    rate / c1 * m / (sqrt(v) / root + epsilon), with root = sqrt(c2) taken out of the division.
    """
    control[1] = beta1 * control[1] + (1.0 - beta1)
    control[2] = beta2 * control[2] + (1.0 - beta2)
    control[3] += 1.0
    root = np.sqrt(control[2])
    return control[0] / control[1] * root, epsilon * root


def adam(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    _adam(p, g, slots, control, settings)


def adamw(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    *adams, weight_decay = settings
    _adam(p, g, slots, control, tuple(adams), 1.0 - control[0] * weight_decay)


def _adam(p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers, keep: Any = None) -> None:
    """Both Adams; AdamW first keeps this share of p."""
    (m, v), (beta1, beta2, epsilon) = slots, settings
    rate, floor = advance_adam(control, beta1, beta2, epsilon)
    flush_now = control[3] % FLUSH_EVERY == 0
    for pb, gb, mb, vb, s in _blocks(p, g, m, v):
        if keep is not None:
            pb *= keep
        mb *= beta1
        np.multiply(gb, 1.0 - beta1, out=s)
        mb += s
        vb *= beta2
        np.multiply(gb, gb, out=s)
        s *= 1.0 - beta2
        vb += s
        if flush_now:
            _flush(mb, s)
            _flush(vb, s)
        np.sqrt(vb, out=s)
        s += floor
        np.divide(mb, s, out=s)
        s *= rate
        pb -= s


def adagrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (total,), (epsilon,) = slots, settings
    control[3] += 1.0
    flush_now = control[3] % FLUSH_EVERY == 0
    rate = control[0]
    for pb, gb, tb, s in _blocks(p, g, total):
        np.multiply(gb, gb, out=s)
        tb += s
        if flush_now:
            _flush(tb, s)
        np.sqrt(tb, out=s)
        s += epsilon
        np.divide(gb, s, out=s)
        s *= rate
        pb -= s


def rmsprop(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (v, velocity), (decay, epsilon, momentum) = slots, settings
    control[3] += 1.0
    flush_now = control[3] % FLUSH_EVERY == 0
    rate = control[0]
    for pb, gb, vb, ub, s in _blocks(p, g, v, velocity):
        vb *= decay
        np.multiply(gb, gb, out=s)
        s *= 1.0 - decay
        vb += s
        if flush_now:
            _flush(vb, s)
        np.sqrt(vb, out=s)
        s += epsilon
        np.divide(gb, s, out=s)
        if momentum == 0.0:
            s *= rate
        else:
            ub *= momentum
            ub += s
            if flush_now:
                _flush(ub, s)
            np.multiply(ub, rate, out=s)
        pb -= s
