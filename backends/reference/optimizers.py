"""Optimizer steps on flat vectors. All have one signature:

p         (n,) parameters, written
g         (n,) their gradient
slots     the optimizer's state, (n,) each, written
control   (4,) numbers that change with each update, named in ``backends.reference.control``; written
settings  the optimizer's numbers, in the order of its first line
"""

from functools import partial
from typing import Any

from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.declaration import kernel
from backends.reference.signatures import Array, Arrays, Numbers

MOMENT_FLOOR = 1e-36
FLUSH_EVERY = 32
"""Every 32nd update, optimizer moments smaller than MOMENT_FLOOR become zero.

A weight whose gradient has become 0 (a border pixel's) keeps moments that shrink by a constant factor
an update, sink into denormal numbers and stay there, where one multiplication costs a hundred times the
usual. At 1e-36 a moment moves a weight by less than 1e-10 of the learning rate, and at the usual factor
of 0.9 it is 42 updates from there to the first denormal number, so looking every 32nd update is enough.
"""

step = partial(kernel, writes=("p", "slots", "control"))


def _flushed(xp: Any, moment: Array, updates: Array) -> Array:
    """The moment; on every FLUSH_EVERY-th update with 0 for what is below MOMENT_FLOOR."""
    # NaN < floor is false, so a NaN stays and is seen.
    tiny = (xp.abs(moment) < MOMENT_FLOOR) & (xp.remainder(updates, float(FLUSH_EVERY)) == 0)
    return xp.where(tiny, xp.zeros_like(moment), moment)


@step()
def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Stochastic gradient descent, as torch.optim.SGD (dampening 0).

    v = momentum v + g; p = p - rate v, or with Nesterov p = p - rate (g + momentum v)
    (Sutskever et al. 2013). With momentum 0 the velocity is neither read nor written.
    """
    (velocity,) = slots
    momentum, nesterov = settings
    rate = control[RATE]
    control[UPDATES] = control[UPDATES] + 1.0
    if momentum == 0.0:
        p[...] = p - rate * g
        return
    velocity[...] = _flushed(xp, momentum * velocity + g, control[UPDATES])
    p[...] = p - rate * (g + momentum * velocity if nesterov else velocity)


@step()
def adam(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Adam (Kingma and Ba 2015, algorithm 1), epsilon placed as in torch.optim.Adam.

    m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;  c_i = 1 - beta_i^t
    p = p - rate / c1 * m / (sqrt(v / c2) + epsilon)

    c1 and c2 are kept by the recurrence c = beta c + (1 - beta), which unlike 1 - beta^t has no
    cancellation and is exact to a few roundings in float32.
    """
    (m, v, *largest), (beta1, beta2, epsilon) = slots, settings
    control[BIAS_1] = beta1 * control[BIAS_1] + (1.0 - beta1)
    control[BIAS_2] = beta2 * control[BIAS_2] + (1.0 - beta2)
    control[UPDATES] = control[UPDATES] + 1.0
    rate = control[RATE]
    c1 = control[BIAS_1]
    c2 = control[BIAS_2]
    m[...] = _flushed(xp, beta1 * m + (1.0 - beta1) * g, control[UPDATES])
    v[...] = _flushed(xp, beta2 * v + (1.0 - beta2) * (g * g), control[UPDATES])
    if largest:
        largest[0][...] = _flushed(xp, xp.maximum(largest[0], v), control[UPDATES])
        v = largest[0]
    p[...] = p - rate / c1 * m / (xp.sqrt(v) / xp.sqrt(c2) + epsilon)


@step()
def adam_amsgrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """``adam`` with the largest v so far, a third slot, in place of v (Reddi et al. 2018, AMSGrad)."""
    adam(xp, p, g, slots, control, settings)


@step()
def adamw(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Adam after a decay that does not pass through the moments (Loshchilov and Hutter 2019).

    p = p (1 - rate weight_decay), then ``adam``, as torch.optim.AdamW.
    """
    *rest, weight_decay = settings
    p[...] = p * (1.0 - control[RATE] * weight_decay)
    adam(xp, p, g, slots, control, tuple(rest))


@step()
def adamw_amsgrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """``adamw`` with the largest v so far, as ``adam_amsgrad``."""
    adamw(xp, p, g, slots, control, settings)


@step()
def adagrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Adagrad (Duchi et al. 2011), as torch.optim.Adagrad with lr_decay 0.

    total = total + g^2;  p = p - rate g / (sqrt(total) + epsilon)
    """
    (total,) = slots
    (epsilon,) = settings
    control[UPDATES] = control[UPDATES] + 1.0
    total[...] = _flushed(xp, total + g * g, control[UPDATES])
    p[...] = p - control[RATE] * (g / (xp.sqrt(total) + epsilon))


@step()
def rmsprop(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """RMSprop (Tieleman and Hinton 2012), as torch.optim.RMSprop (not centered).

    v = decay v + (1 - decay) g^2;  s = g / (sqrt(v) + epsilon)
    p = p - rate s, or with momentum  velocity = momentum velocity + s;  p = p - rate velocity

    With momentum 0 the velocity is neither read nor written.
    """
    (v, velocity, *mean), (decay, epsilon, momentum) = slots, settings
    rate = control[RATE]
    control[UPDATES] = control[UPDATES] + 1.0
    v[...] = _flushed(xp, decay * v + (1.0 - decay) * (g * g), control[UPDATES])
    square = v
    if mean:
        mean[0][...] = _flushed(xp, decay * mean[0] + (1.0 - decay) * g, control[UPDATES])
        square = v - mean[0] * mean[0]
        square = xp.where(square < 0, xp.zeros_like(v), square)  # by rounding
    s = g / (xp.sqrt(square) + epsilon)
    if momentum != 0.0:
        velocity[...] = _flushed(xp, momentum * velocity + s, control[UPDATES])
        s = velocity
    p[...] = p - rate * s


@step()
def rmsprop_centered(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """``rmsprop`` with v - mean^2, g's variance, in place of v; the mean is a third slot (Graves 2013)."""
    rmsprop(xp, p, g, slots, control, settings)
