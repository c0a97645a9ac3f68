"""Activations, f(z) and f'(z) dy, element by element (softmax: along the last axis).

    sigmoid     1 / (1 + e^-z)
    relu        max(z, 0)
    leaky_relu  max(z, z / 100)
    elu         z, or e^z - 1 below 0 (Clevert et al. 2016, alpha 1)
    gelu        z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 (Hendrycks and Gimpel 2016)
    silu        z / (1 + e^-z) (Elfwing et al. 2018), also called swish
    softplus    log(1 + e^z)

gelu is torch's approximate="tanh": the array API has no erf, which the exact form needs. It is computed as
z sigmoid(2 ...), which is equal and has no cancellation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

from backends.reference.arithmetic import clip
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array
from backends.table import Table

LEAKY_SLOPE = 0.01  # slope of leaky_relu below 0, torch's default
# Beyond +-this bound gelu' and silu' are exactly 0 or 1. z is clipped to it, so that no power overflows.
SATURATION_BOUND = 1000.0
GELU_SLOPE = 2.0 * sqrt(2.0 / pi)
GELU_CUBIC = 0.044715


@dataclass(frozen=True)
class ActivationFunction:
    """One activation: the function, its derivative and its properties."""

    forward: Callable[[Any, Array], Array]  # (xp, z) -> y = f(z), same shape; NaN stays NaN
    # (xp, dy, z, y) -> dz = f'(z) dy, from whichever of z and y = f(z) is cheaper
    backward: Callable[[Any, Array, Array, Array], Array]
    from_output: bool = False  # backward does not use z, so y may overwrite z
    kink: bool = False  # f' jumps at 0
    gated: bool = False  # f(z) = z g(z): an error of g is multiplied by z
    rectifies: bool = False  # f is near 0 below 0: He initialization fits


def sigmoid(xp: Any, z: Array) -> Array:
    """Return 1 / (1 + e^-z)."""
    # exp of negative numbers only: nothing overflows, and small results stay accurate.
    e = xp.exp(-xp.abs(z))
    return xp.where(z < 0, e, xp.ones_like(e)) / (1.0 + e)


def _softmax(xp: Any, z: Array) -> Array:
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _positive(xp: Any, z: Array) -> Array:
    return xp.where(z < 0, xp.zeros_like(z), z)  # z < 0 rather than z > 0: NaN stays NaN


def _gated(argument: Callable[[Array], Array], slope: Callable[[Array], Any]) -> ActivationFunction:
    """Return z sigmoid(v(z)), for v(z) = ``argument`` and v'(z) = ``slope``."""

    def forward(xp: Any, z: Array) -> Array:
        # Without the clip -inf would give NaN instead of 0.
        return clip(xp, z, -SATURATION_BOUND) * sigmoid(xp, argument(z))

    def backward(xp: Any, dy: Array, z: Array, y: Array) -> Array:
        z = clip(xp, z, -SATURATION_BOUND, SATURATION_BOUND)
        v = argument(z)
        s = sigmoid(xp, v)
        return dy * (s + z * (s * sigmoid(xp, -v)) * slope(z))  # 1 - s without cancellation

    return ActivationFunction(forward, backward, gated=True, rectifies=True)


def leaky_relu(slope: float) -> ActivationFunction:
    """Return max(z, slope z); its slope at 0 is ``slope``, as in torch."""
    return ActivationFunction(
        lambda xp, z: xp.where(z < 0, slope * z, z), lambda xp, dy, z, y: xp.where(z > 0, dy, slope * dy),
        kink=True, rectifies=True,
    )  # fmt: skip


def elu(alpha: float) -> ActivationFunction:
    """Return z above 0, alpha (e^z - 1) below."""
    return ActivationFunction(
        lambda xp, z: xp.where(z > 0, z, alpha * xp.expm1(-_positive(xp, -z))),  # exp does not overflow
        lambda xp, dy, z, y: dy * xp.where(z > 0, xp.ones_like(y), y + alpha), rectifies=True,
    )  # fmt: skip


ACTIVATIONS: Table[ActivationFunction] = Table("activation", {
    "linear": ActivationFunction(lambda xp, z: z, lambda xp, dy, z, y: dy, from_output=True),
    "sigmoid": ActivationFunction(sigmoid, lambda xp, dy, z, y: dy * y * (1.0 - y), from_output=True),
    "tanh": ActivationFunction(
        lambda xp, z: xp.tanh(z), lambda xp, dy, z, y: dy * (1.0 - y * y), from_output=True,
    ),
    "relu": ActivationFunction(  # backward may get y for z: y <= 0 where z <= 0
        _positive, lambda xp, dy, z, y: xp.where(z <= 0, xp.zeros_like(dy), dy),
        from_output=True, kink=True, rectifies=True,
    ),
    "softmax": ActivationFunction(
        _softmax, lambda xp, dy, z, y: y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)), from_output=True,
    ),
    "leaky_relu": leaky_relu(LEAKY_SLOPE),
    "elu": elu(1.0),
    "gelu": _gated(
        lambda z: GELU_SLOPE * (z + GELU_CUBIC * (z * z * z)),
        lambda z: GELU_SLOPE * (1.0 + (3.0 * GELU_CUBIC) * (z * z)),
    ),
    "silu": _gated(lambda z: z, lambda z: 1.0),
    "softplus": ActivationFunction(
        lambda xp, z: _positive(xp, z) + xp.log1p(xp.exp(-xp.abs(z))),
        lambda xp, dy, z, y: dy * sigmoid(xp, z),
    ),
})  # fmt: skip
"""Every activation by name. An added one works in every layer and on every backend."""


class ActivationKernels(KernelBase):
    """Activations and their derivatives; ``name`` is a key of ACTIVATIONS."""

    @kernel(writes=("y",), aliases=(("z", "y"),))
    def activation(self, name: str, z: Array, y: Array) -> None:
        """``y = f(z)`` element by element (softmax: over the last axis).

        Reads z (B, ..., n); writes y (B, ..., n), which may be z itself.
        """
        if name != "linear" or y is not z:
            y[...] = ACTIVATIONS[name].forward(self.xp, z)

    @kernel(writes=("dz",), aliases=(("dy", "dz"),))
    def activation_backward(self, name: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
        """``dz = f'(z) dy``. Softmax: dz_i = y_i (dy_i - sum_j dy_j y_j). leaky_relu'(0) = 1/100.

        Reads dy, z, y (B, ..., n); with ``from_output`` the caller may pass y for z. Writes dz (B, ..., n),
        which may be dy itself.
        """
        if name != "linear" or dz is not dy:
            dz[...] = ACTIVATIONS[name].backward(self.xp, dy, z, y)
