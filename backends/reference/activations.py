"""Activations, f(z) and f'(z) dy, element by element (softmax: along the last axis)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Array = Any


def _sigmoid(xp: Any, z: Array) -> Array:
    # exp of a negative number only, so that nothing overflows and small results keep their digits.
    e = xp.exp(-xp.abs(z))
    return xp.where(z < 0, e, xp.ones_like(e)) / (1.0 + e)


def _softmax(xp: Any, z: Array) -> Array:
    e = xp.exp(z - xp.max(z, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


_FORWARD: Mapping[str, Callable[[Any, Array], Array]] = MappingProxyType(
    {
        "linear": lambda xp, z: z,
        "sigmoid": _sigmoid,
        "tanh": lambda xp, z: xp.tanh(z),
        # z < 0 rather than z > 0: a NaN then stays a NaN.
        "relu": lambda xp, z: xp.where(z < 0, xp.zeros_like(z), z),
        "softmax": _softmax,
    }
)

_BACKWARD: Mapping[str, Callable[[Any, Array, Array, Array], Array]] = MappingProxyType(
    {
        "linear": lambda xp, dy, z, y: dy,
        "sigmoid": lambda xp, dy, z, y: dy * y * (1.0 - y),
        "tanh": lambda xp, dy, z, y: dy * (1.0 - y * y),
        "relu": lambda xp, dy, z, y: xp.where(z <= 0, xp.zeros_like(dy), dy),
        "softmax": lambda xp, dy, z, y: y * (dy - xp.sum(dy * y, axis=-1, keepdims=True)),
    }
)

ACTIVATIONS = tuple(_FORWARD)


def activation(xp: Any, kind: str, z: Array, y: Array) -> None:
    """``y = f(z)`` element by element (softmax: over the last axis).

    Reads z (B, n); writes y (B, n), which may be z itself.
    """
    y[...] = _FORWARD[kind](xp, z)


def activation_backward(xp: Any, kind: str, dy: Array, z: Array, y: Array, dz: Array) -> None:
    """``dz = f'(z) * dy``, from whichever of z and y = f(z) is cheaper.

    Softmax: dz_i = y_i (dy_i - sum_j dy_j y_j). Reads dy, z, y (B, n); writes dz (B, n), which may be
    dy itself.
    """
    dz[...] = _BACKWARD[kind](xp, dy, z, y)
