"""Optimizer steps on flat vectors."""

from __future__ import annotations

from typing import Any

Array = Any


MOMENT_FLOOR = 1e-36
FLUSH_EVERY = 32
"""Every 32nd update, optimizer moments smaller than this become zero.

A weight whose gradient has become 0 (a border pixel's) keeps moments that shrink by a constant factor
an update, sink into denormal numbers and stay there, where one multiplication costs a hundred times the
usual. At 1e-36 a moment moves a weight by less than 1e-10 of the learning rate, and at the usual factor
of 0.9 it is 42 updates from there to the first denormal number, so looking every 32nd update is enough.
"""


def _without_dust(xp: Any, moment: Array, updates: Array) -> Array:
    """The moment, on every FLUSH_EVERY-th update without what is below MOMENT_FLOOR."""
    # NaN < floor is false, so a NaN stays and is seen.
    dust = (xp.abs(moment) < MOMENT_FLOOR) & (xp.remainder(updates, float(FLUSH_EVERY)) == 0)
    return xp.where(dust, xp.zeros_like(moment), moment)


def sgd(
    xp: Any,
    p: Array,
    g: Array,
    velocity: Array,
    control: Array,
    momentum: float,
    nesterov: bool,
) -> None:
    """Stochastic gradient descent on flat vectors, as torch.optim.SGD (dampening 0).

    v = momentum v + g; p = p - rate v, or with Nesterov p = p - rate (g + momentum v)
    (Sutskever et al. 2013). With momentum 0 the velocity is neither read nor written.

    Reads g (n,); writes p (n,), velocity (n,) and control (4,): [rate, -, -, updates done].
    """
    rate = control[0:1]
    control[3:4] = control[3:4] + 1.0
    if momentum == 0.0:
        p[...] = p - rate * g
        return
    velocity[...] = _without_dust(xp, momentum * velocity + g, control[3:4])
    p[...] = p - rate * (g + momentum * velocity if nesterov else velocity)


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
    """Adam (Kingma and Ba 2015, algorithm 1) on flat vectors, epsilon placed as in torch.optim.Adam.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  c_i = 1 - beta_i^t
    p = p - rate / c1 * m / (sqrt(v / c2) + epsilon)

    c1 and c2 are kept by the recurrence c = beta c + (1 - beta), which unlike 1 - beta^t has no
    cancellation and is exact to a few roundings in float32.

    Reads g (n,); writes p, m, v (n,) and control (4,): [rate, c1, c2, updates done].
    """
    control[1:2] = beta1 * control[1:2] + (1.0 - beta1)
    control[2:3] = beta2 * control[2:3] + (1.0 - beta2)
    control[3:4] = control[3:4] + 1.0
    rate, c1, c2 = control[0:1], control[1:2], control[2:3]
    m[...] = _without_dust(xp, beta1 * m + (1.0 - beta1) * g, control[3:4])
    v[...] = _without_dust(xp, beta2 * v + (1.0 - beta2) * (g * g), control[3:4])
    p[...] = p - rate / c1 * m / (xp.sqrt(v) / xp.sqrt(c2) + epsilon)


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
    """Adam after a decay that does not pass through the moments (Loshchilov and Hutter 2019).

    p = p (1 - rate weight_decay), then ``adam``, as torch.optim.AdamW.

    Reads and writes as ``adam``.
    """
    p[...] = p * (1.0 - control[0:1] * weight_decay)
    adam(xp, p, g, m, v, control, beta1, beta2, epsilon)


def adagrad(xp: Any, p: Array, g: Array, total: Array, control: Array, epsilon: float) -> None:
    """Adagrad (Duchi et al. 2011) on flat vectors, as torch.optim.Adagrad with lr_decay 0.

    total = total + g^2;  p = p - rate g / (sqrt(total) + epsilon)

    Reads g (n,); writes p, total (n,) and control (4,): [rate, -, -, updates done].
    """
    control[3:4] = control[3:4] + 1.0
    total[...] = _without_dust(xp, total + g * g, control[3:4])
    p[...] = p - control[0:1] * (g / (xp.sqrt(total) + epsilon))


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
    """RMSprop (Tieleman and Hinton 2012) on flat vectors, as torch.optim.RMSprop (not centered).

    v = decay v + (1 - decay) g^2;  s = g / (sqrt(v) + epsilon)
    p = p - rate s, or with momentum  velocity = momentum velocity + s;  p = p - rate velocity

    Reads g (n,); writes p, v, velocity (n,) and control (4,): [rate, -, -, updates done]. With momentum 0
    the velocity is neither read nor written.
    """
    rate = control[0:1]
    control[3:4] = control[3:4] + 1.0
    v[...] = _without_dust(xp, decay * v + (1.0 - decay) * (g * g), control[3:4])
    s = g / (xp.sqrt(v) + epsilon)
    if momentum != 0.0:
        velocity[...] = _without_dust(xp, momentum * velocity + s, control[3:4])
        s = velocity
    p[...] = p - rate * s
