"""NumPy's optimizers, penalty and clipping: a block of the flat vectors takes all passes in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from backends.dispatch import Override
from backends.reference import FLUSH_EVERY, MOMENT_FLOOR, NORM_FLOOR

Array = np.ndarray
BLOCK = 24576
"""Elements of a flat vector worked on at a time, so that an optimizer's passes stay in the cache."""


def clip_norm(xp: Any, g: Array, limit: float) -> None:
    factor = limit / (np.sqrt(np.dot(g, g)) + NORM_FLOOR)
    if not factor >= 1.0:  # a NaN too
        g *= factor


def clip_value(xp: Any, g: Array, limit: float) -> None:
    np.clip(g, -limit, limit, out=g)


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    scratch = np.empty(BLOCK, dtype=g.dtype)
    for start in range(0, g.size, BLOCK):
        wb, gb = w[start : start + BLOCK], g[start : start + BLOCK]
        s = scratch[: gb.size]
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


def sgd(
    xp: Any, p: Array, g: Array, velocity: Array, control: Array, momentum: float, nesterov: bool
) -> None:
    control[3] += 1.0
    flush_now = control[3] % FLUSH_EVERY == 0
    rate = control[0]
    scratch = np.empty(BLOCK, dtype=p.dtype)
    for start in range(0, p.size, BLOCK):
        pb, gb = p[start : start + BLOCK], g[start : start + BLOCK]
        s = scratch[: pb.size]
        if momentum == 0.0:
            np.multiply(gb, rate, out=s)
        else:
            vb = velocity[start : start + BLOCK]
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


def _adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
    keep: Any = None,
) -> None:
    """Both Adams; AdamW first keeps this share of p."""
    rate, floor = advance_adam(control, beta1, beta2, epsilon)
    flush_now = control[3] % FLUSH_EVERY == 0
    scratch = np.empty(BLOCK, dtype=p.dtype)
    for start in range(0, p.size, BLOCK):
        block = slice(start, start + BLOCK)
        pb, gb, mb, vb = p[block], g[block], m[block], v[block]
        s = scratch[: pb.size]
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


def adam(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
) -> None:
    _adam(p, g, m, v, control, beta1, beta2, epsilon)


def adamw(
    xp: Any,
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    control: Array,
    beta1: float,
    beta2: float,
    epsilon: float,
    weight_decay: float,
) -> None:
    _adam(p, g, m, v, control, beta1, beta2, epsilon, 1.0 - control[0] * weight_decay)


def adagrad(xp: Any, p: Array, g: Array, total: Array, control: Array, epsilon: float) -> None:
    control[3] += 1.0
    flush_now = control[3] % FLUSH_EVERY == 0
    rate = control[0]
    scratch = np.empty(BLOCK, dtype=p.dtype)
    for start in range(0, p.size, BLOCK):
        block = slice(start, start + BLOCK)
        pb, gb, tb = p[block], g[block], total[block]
        s = scratch[: pb.size]
        np.multiply(gb, gb, out=s)
        tb += s
        if flush_now:
            _flush(tb, s)
        np.sqrt(tb, out=s)
        s += epsilon
        np.divide(gb, s, out=s)
        s *= rate
        pb -= s


def rmsprop(
    xp: Any,
    p: Array,
    g: Array,
    v: Array,
    velocity: Array,
    control: Array,
    decay: float,
    epsilon: float,
    momentum: float,
) -> None:
    control[3] += 1.0
    flush_now = control[3] % FLUSH_EVERY == 0
    rate = control[0]
    scratch = np.empty(BLOCK, dtype=p.dtype)
    for start in range(0, p.size, BLOCK):
        block = slice(start, start + BLOCK)
        pb, gb, vb = p[block], g[block], v[block]
        s = scratch[: pb.size]
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
            velocity_b = velocity[block]
            velocity_b *= momentum
            velocity_b += s
            if flush_now:
                _flush(velocity_b, s)
            np.multiply(velocity_b, rate, out=s)
        pb -= s


OPTIMIZER_OVERRIDES: Mapping[str, Override] = MappingProxyType(
    {
        "penalty": Override(penalty),
        "clip_norm": Override(clip_norm),
        "clip_value": Override(clip_value),
        "sgd": Override(sgd),
        "adagrad": Override(adagrad),
        "rmsprop": Override(rmsprop),
        "adam": Override(adam),
        "adamw": Override(adamw),
    }
)
