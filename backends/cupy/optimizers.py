"""CuPy's optimizer steps, penalty and clipping: two launches or one each."""

from functools import cache, partial
from typing import Any

from backends.cupy import compiled, sources, update
from backends.dispatch import Override
from backends.reference.signatures import Array, Arrays, Numbers


@cache
def _numbers(xp: Any, name: str, settings: Numbers, dtype: Any, device: str) -> Array:
    return xp.asarray(update.numbers(name, settings), dtype=dtype)


def step(name: str, xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Of the optimizer of this name: the control array, and then all numbers."""
    compiled.elementwise("advance")(*update.numbers(name, settings)[1:5], control)
    if p.shape[0]:  # CUDA refuses an empty grid
        numbers = _numbers(xp, name, settings, p.dtype, str(p.device))
        compiled.launch(*update.stepping(name, numbers, control, xp.ascontiguousarray(g), p, slots))


STEPS = tuple(Override(name, partial(step, name)) for name in sources.OPTIMIZERS)


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    compiled.elementwise("penalty")(w, l1, l2, g)


def clip_norm(xp: Any, g: Array, limit: float) -> None:
    square = xp.reshape(xp.matmul(g, g), (1,))
    compiled.elementwise("clip_norm")(square, limit, g)


def clip_value(xp: Any, g: Array, limit: float) -> None:
    compiled.elementwise("clip_value")(limit, g)
