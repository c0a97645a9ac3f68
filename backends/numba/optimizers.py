"""Numba's optimizer steps: one compiled pass over the flat vectors each."""

from typing import Any

import numpy as np

from backends.numba.compiling import compiled
from backends.numba.elementwise import adam_loop
from backends.numpy import optimizers as numpy_optimizers
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
def _rmsprop(p, g, v, rate, decay, rest, epsilon, floor):  # type: ignore[no-untyped-def]
    zero = p.dtype.type(0)
    for i in range(p.shape[0]):
        vi = decay * v[i] + rest * (g[i] * g[i])
        vi = zero if vi < floor else vi
        v[i] = vi
        p[i] -= rate * (g[i] / (np.sqrt(vi) + epsilon))


@compiled
def _rmsprop_momentum(p, g, v, velocity, rate, decay, rest, epsilon, momentum, floor):  # type: ignore[no-untyped-def]
    zero = p.dtype.type(0)
    for i in range(p.shape[0]):
        vi = decay * v[i] + rest * (g[i] * g[i])
        vi = zero if vi < floor else vi
        v[i] = vi
        u = momentum * velocity[i] + g[i] / (np.sqrt(vi) + epsilon)
        u = zero if abs(u) < floor else u
        velocity[i] = u
        p[i] -= rate * u


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
    return control.dtype.type(MOMENT_FLOOR if control[3] % FLUSH_EVERY == 0 else 0.0)


def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (velocity,), (momentum, nesterov) = slots, settings
    if momentum == 0.0:
        numpy_optimizers.sgd(xp, p, g, slots, control, settings)
        return
    control[3] += 1.0
    _sgd(p, g, velocity, control[0], p.dtype.type(momentum), nesterov, _floor(control))


def _betas(number: Any, beta1: float, beta2: float) -> tuple[Any, ...]:
    return number(beta1), number(1.0 - beta1), number(beta2), number(1.0 - beta2)


def adam(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (m, v), (beta1, beta2, epsilon) = slots, settings
    rate, floor = numpy_optimizers.advance_adam(control, beta1, beta2, epsilon)
    number = p.dtype.type
    _adam(p, g, m, v, (rate, *_betas(number, beta1, beta2), floor, _floor(control), number(1)))


def adamw(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (m, v), (beta1, beta2, epsilon, weight_decay) = slots, settings
    rate, floor = numpy_optimizers.advance_adam(control, beta1, beta2, epsilon)
    keep = 1.0 - control[0] * weight_decay
    _adam(p, g, m, v, (rate, *_betas(p.dtype.type, beta1, beta2), floor, _floor(control), keep))


def adagrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (total,), (epsilon,) = slots, settings
    control[3] += 1.0
    _adagrad(p, g, total, control[0], p.dtype.type(epsilon), _floor(control))


def rmsprop(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    (v, velocity), (decay, epsilon, momentum) = slots, settings
    control[3] += 1.0
    number = p.dtype.type
    rate, floor = control[0], _floor(control)
    numbers = (rate, number(decay), number(1.0 - decay), number(epsilon))
    if momentum == 0.0:
        _rmsprop(p, g, v, *numbers, floor)
    else:
        _rmsprop_momentum(p, g, v, velocity, *numbers, number(momentum), floor)


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    _penalty(w, g, g.dtype.type(l1), g.dtype.type(2.0 * l2))
