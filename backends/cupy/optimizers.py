"""CuPy's optimizer steps, penalty and clipping: two launches or one each.

The settings go to the element-wise kernels of ``sources`` in their order.
"""

from typing import Any

from backends.cupy import compiled
from backends.reference.signatures import Array, Arrays, Numbers

COUNT = (1.0, 0.0, 1.0, 0.0)  # what "advance" does to c1 and c2 where there are none


def sgd(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    compiled.elementwise("advance")(*COUNT, control)
    compiled.elementwise("sgd")(g, control, *settings, p, *slots)


def _adam(name: str, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    beta1, beta2, *others = settings
    betas = (beta1, 1.0 - beta1, beta2, 1.0 - beta2)
    compiled.elementwise("advance")(*betas, control)
    compiled.elementwise(name)(g, control, *betas, *others, p, *slots)


def adam(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    _adam("adam", p, g, slots, control, settings)


def adamw(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    _adam("adamw", p, g, slots, control, settings)


def adagrad(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    compiled.elementwise("advance")(*COUNT, control)
    compiled.elementwise("adagrad")(g, control, *settings, p, *slots)


def rmsprop(xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    decay, epsilon, momentum = settings
    compiled.elementwise("advance")(*COUNT, control)
    compiled.elementwise("rmsprop")(g, control, decay, 1.0 - decay, epsilon, momentum, p, *slots)


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    compiled.elementwise("penalty")(w, l1, l2, g)


def clip_norm(xp: Any, g: Array, limit: float) -> None:
    square = xp.reshape(xp.matmul(g, g), (1,))
    compiled.elementwise("clip_norm")(square, limit, g)


def clip_value(xp: Any, g: Array, limit: float) -> None:
    compiled.elementwise("clip_value")(limit, g)
