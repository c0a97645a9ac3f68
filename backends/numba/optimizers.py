"""Numba's optimizer steps: one compiled pass over the flat vectors each."""

from typing import Any

import numpy as np

from backends.dispatch import override
from backends.numba.compiling import compiled
from backends.numba.elementwise import adam_loop
from backends.numpy import optimizers as numpy_optimizers
from backends.reference.control import RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR
from backends.reference.signatures import Arrays, Numbers

Array = np.ndarray


@compiled
def _sgd(p, g, velocity, rate, momentum, nesterov, floor):  # type: ignore[no-untyped-def]
    for i in range(p.shape[0]):
        v = momentum * velocity[i] + g[i]
        if abs(v) < floor:
            v *= 0
        velocity[i] = v
        p[i] -= rate * (g[i] + momentum * v if nesterov else v)


_adam = compiled(adam_loop)


@compiled
def _adagrad(p, g, total, rate, epsilon, floor):  # type: ignore[no-untyped-def]
    zero = p.dtype.type(0)
    for i in range(p.shape[0]):
        t = total[i] + g[i] * g[i]
        t = zero if t < floor else t
        total[i] = t
        p[i] -= rate * (g[i] / (np.sqrt(t) + epsilon))


@compiled
def _rmsprop(p, g, v, velocity, rate, decay, rest, epsilon, momentum, floor):  # type: ignore[no-untyped-def]
    zero = p.dtype.type(0)
    for i in range(p.shape[0]):
        vi = decay * v[i] + rest * (g[i] * g[i])
        vi = zero if vi < floor else vi
        v[i] = vi
        step = g[i] / (np.sqrt(vi) + epsilon)
        if momentum != 0:
            step += momentum * velocity[i]
            step = zero if abs(step) < floor else step
            velocity[i] = step
        p[i] -= rate * step


@compiled
def _penalty(w, g, l1, twice_l2):  # type: ignore[no-untyped-def]
    one = g.dtype.type(1)
    for i in range(g.shape[0]):
        wi = w[i]
        step = g[i]
        if twice_l2 != 0:
            step += twice_l2 * wi
        if l1 != 0:
            step += l1 * (one if wi > 0 else (-one if wi < 0 else wi))  # 0, or a NaN
        g[i] = step


def _floor(control: Array) -> Any:
    """Moments below this become 0: MOMENT_FLOOR on every FLUSH_EVERY-th update, else 0 itself."""
    return control.dtype.type(MOMENT_FLOOR if control[UPDATES] % FLUSH_EVERY == 0 else 0.0)


def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (velocity,) = slots
    momentum, nesterov = settings
    if momentum == 0.0:
        numpy_optimizers.sgd(xp, p, g, slots, control, settings)
        return
    control[UPDATES] += 1.0
    _sgd(p, g, velocity, control[RATE][0], p.dtype.type(momentum), nesterov, _floor(control))


@override("adamw")
@override()
def adam(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (m, v), (beta1, beta2, epsilon, *decay) = slots, settings
    keep = 1.0 - control[RATE][0] * decay[0] if decay else p.dtype.type(1)  # AdamW's share of p
    rate, floor = numpy_optimizers.advance_adam(control, beta1, beta2, epsilon)
    betas = map(p.dtype.type, (beta1, 1.0 - beta1, beta2, 1.0 - beta2))
    _adam(p, g, m, v, (rate[0], *betas, floor[0], _floor(control), keep))


def adagrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (total,) = slots
    (epsilon,) = settings
    control[UPDATES] += 1.0
    _adagrad(p, g, total, control[RATE][0], p.dtype.type(epsilon), _floor(control))


def rmsprop(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    decay, epsilon, momentum = settings
    control[UPDATES] += 1.0
    numbers = map(p.dtype.type, (control[RATE][0], decay, 1.0 - decay, epsilon, momentum))
    _rmsprop(p, g, *slots, *numbers, _floor(control))


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    _penalty(w, g, g.dtype.type(l1), g.dtype.type(2.0 * l2))
