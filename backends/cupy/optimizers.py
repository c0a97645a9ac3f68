"""CuPy overrides for optimizers, with two launches each."""

from functools import cache, partial
from typing import Any

from backends.cupy import compilation, sources
from backends.dispatch import Override
from backends.reference.signatures import Array, Arrays, Numbers


def optimizer_numbers(optimizer: str, settings: Numbers, scale: float = 1.0) -> list[float]:
    """Return the argument ``numbers`` of ``dnn::optimize``: the scale of x and the optimizer's settings."""
    rest = [float(setting) for setting in settings]
    betas = [1.0, 0.0, 1.0, 0.0]  # leave c1 and c2 unchanged
    if optimizer in ("adam", "adamw"):
        beta1, beta2, *rest = rest
        betas = [beta1, 1.0 - beta1, beta2, 1.0 - beta2]
    elif optimizer == "rmsprop":
        rest[1:1] = [1.0 - rest[0]]
    return [scale, *betas, *rest]


@cache
def _numbers_array(xp: Any, name: str, settings: Numbers, dtype: Any) -> Array:
    return xp.asarray(optimizer_numbers(name, settings), dtype=dtype)


def step(name: str, xp: Any, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
    """Make one step of the named optimizer: advance the control array, then update all numbers."""
    compilation.elementwise("advance")(*optimizer_numbers(name, settings)[1:5], control)
    reads = sources.OPTIMIZERS.index(name), _numbers_array(xp, name, settings, p.dtype), control, g
    compilation.elementwise("optimize")(*reads, p, slots[0], slots[-1])


STEPS = tuple(Override(name, partial(step, name)) for name in sources.OPTIMIZERS)
