"""CuPy's steps of the optimizers, with two launches each."""

from collections.abc import Callable
from functools import cache
from typing import Any

from backends.cupy import compilation, sources
from backends.reference import Kernels
from backends.reference.signatures import Array, Arrays, Numbers


def optimizer_numbers(kind: str, settings: Numbers, scale: float = 1.0) -> list[float]:
    """Return the argument ``numbers`` of ``dnn::optimize``: the scale of x and the optimizer's settings."""
    rest = [float(setting) for setting in settings]
    betas = [1.0, 0.0, 1.0, 0.0]  # leave c1 and c2 unchanged
    if kind == "adam":
        beta1, beta2, epsilon, *decay = rest
        betas = [beta1, 1.0 - beta1, beta2, 1.0 - beta2]
        rest = [epsilon, *(decay or [0.0])]
    elif kind == "rmsprop":
        rest[1:1] = [1.0 - rest[0]]
    return [scale, *betas, *rest]


@cache
def _numbers_array(xp: Any, kind: str, settings: Numbers, dtype: Any) -> Array:
    return xp.asarray(optimizer_numbers(kind, settings), dtype=dtype)


def _fused(reference: Callable[..., None]) -> Callable[..., None]:
    """Return the kernel of this optimizer: it advances the control array, then updates all numbers."""
    kind = reference.__name__

    def step(self: Kernels, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2:
            return reference(self, p, g, slots, control, settings)
        compilation.elementwise("advance")(*optimizer_numbers(kind, settings)[1:5], control)
        numbers = _numbers_array(self.xp, kind, settings, p.dtype)
        reads = sources.OPTIMIZERS.index(kind), numbers, control, g
        compilation.elementwise("optimize")(*reads, p, slots[0], slots[-1])

    return step


class CupyOptimizers(Kernels):
    """The step of every optimizer; with a third slot (AMSGrad, centered RMSprop) the reference's."""

    sgd = _fused(Kernels.sgd)
    adagrad = _fused(Kernels.adagrad)
    rmsprop = _fused(Kernels.rmsprop)
    adam = _fused(Kernels.adam)
