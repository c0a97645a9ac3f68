"""Activations, f(z) and f'(z) dy, element by element (softmax: along the last axis)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from types import MappingProxyType
from typing import Any

Array = Any
LEAK = 0.01
"""Slope of leaky_relu below 0, torch's default."""
_GELU_SLOPE, _GELU_CUBIC = 2.0 * sqrt(2.0 / pi), 0.044715


def _sigmoid(xp: Any, z: Array) -> Array:
    # exp of a negative number only, so that nothing overflows and small results keep their digits.
    e = xp.exp(-xp.abs(z))
    return xp.where(z < 0, e, xp.ones_like(e)) / (1.0 + e)


def _softmax(xp: Any, z: Array) -> Array:
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


def _positive(xp: Any, z: Array) -> Array:
    # z < 0 rather than z > 0: a NaN then stays a NaN.
    return xp.where(z < 0, xp.zeros_like(z), z)


def _negative(xp: Any, z: Array) -> Array:
    return xp.where(z > 0, xp.zeros_like(z), z)


def _gelu_argument(z: Array) -> Array:
    return _GELU_SLOPE * (z + _GELU_CUBIC * (z * z * z))


def _gelu_backward(xp: Any, dy: Array, z: Array, y: Array) -> Array:
    v = _gelu_argument(z)
    e = xp.exp(-xp.abs(v))
    # sigmoid' = sigmoid (1 - sigmoid) = e / (1 + e)^2 has no cancellation.
    slope = _GELU_SLOPE * (1.0 + (3.0 * _GELU_CUBIC) * (z * z))
    return dy * (_sigmoid(xp, v) + z * (e / ((1.0 + e) * (1.0 + e))) * slope)


_FORWARD: Mapping[str, Callable[[Any, Array], Array]] = MappingProxyType(
    {
        "linear": lambda xp, z: z,
        "sigmoid": _sigmoid,
        "tanh": lambda xp, z: xp.tanh(z),
        "relu": _positive,
        "softmax": _softmax,
        "leaky_relu": lambda xp, z: xp.where(z < 0, LEAK * z, z),
        "elu": lambda xp, z: xp.where(z > 0, z, xp.expm1(_negative(xp, z))),
        "gelu": lambda xp, z: z * _sigmoid(xp, _gelu_argument(z)),
        "softplus": lambda xp, z: _positive(xp, z) + xp.log1p(xp.exp(-xp.abs(z))),
    }
)

_BACKWARD: Mapping[str, Callable[[Any, Array, Array, Array], Array]] = MappingProxyType(
    {
        "linear": lambda xp, dy, z, y: dy,
        "sigmoid": lambda xp, dy, z, y: dy * y * (1.0 - y),
        "tanh": lambda xp, dy, z, y: dy * (1.0 - y * y),
        "relu": lambda xp, dy, z, y: xp.where(z <= 0, xp.zeros_like(dy), dy),
        "softmax": lambda xp, dy, z, y: y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)),
        "leaky_relu": lambda xp, dy, z, y: xp.where(z > 0, dy, LEAK * dy),
        "elu": lambda xp, dy, z, y: dy * (_negative(xp, y) + 1.0),
        "gelu": _gelu_backward,
        "softplus": lambda xp, dy, z, y: dy * _sigmoid(xp, z),
    }
)

ACTIVATIONS = tuple(_FORWARD)
DENSE_KINDS = ("linear", "sigmoid", "tanh", "relu", "softmax")
"""Kinds whose f'(z) follows from y alone, and which the dense kernel therefore takes in."""


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    """``y = f(z)`` element by element (softmax: over the last axis).

    sigmoid 1 / (1 + e^-z);  tanh;  relu max(z, 0);  leaky_relu max(z, z / 100);
    elu z or e^z - 1 below 0 (Clevert et al. 2016, alpha 1);  softplus log(1 + e^z);
    gelu z (1 + tanh(sqrt(2 / pi) (z + 0.044715 z^3))) / 2 (Hendrycks and Gimpel 2016), torch's
    approximate="tanh": the standard has no erf for the other form. Written as z sigmoid(2 ...), the same
    without cancellation.

    Reads z (B, ..., n); writes y (B, ..., n), which may be z itself.
    """
    y[...] = _FORWARD[kind](xp, z)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    """``dz = f'(z) * dy``, from whichever of z and y = f(z) is cheaper.

    Softmax: dz_i = y_i (dy_i - sum_j dy_j y_j). leaky_relu'(0) = 1/100. For DENSE_KINDS z may be y.

    Reads dy, z, y (B, ..., n); writes dz (B, ..., n), which may be dy itself.
    """
    dz[...] = _BACKWARD[kind](xp, dy, z, y)
