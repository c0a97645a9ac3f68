"""Noise from random bits: numbers left out, and numbers added.

The bits are those of ``threefry``: integers of 63 bits, of which the upper 31 and the lower 31 serve one
number of the left and one of the right half of a row.
"""

from math import pi
from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array

_WORD = 0x7FFFFFFF
_UNIT = 2.0**-31


@kernel(writes=("mask", "y"))
def dropout(xp: Any, bits: Array, x: Array, rate: float, mask: Array, y: Array) -> None:
    """``y = x mask``; mask is 0 with probability rate, else 1 / (1 - rate) (Srivastava et al. 2014).

    The same bits give the same mask on every library, in every dtype.

    Reads bits (B, ceil(n / 2)) int64 in [0, 2^63) and x (B, n); writes mask and y (B, n).
    """
    words = xp.concat([bits >> 32, bits & _WORD], axis=1)[:, : x.shape[1]]
    kept = xp.astype(words >= round(rate / _UNIT), x.dtype)
    mask[...] = kept * (1.0 / (1.0 - rate))
    y[...] = x * mask


@kernel(writes=("y",))
def gaussian_noise(xp: Any, bits: Array, x: Array, deviation: float, y: Array) -> None:
    """``y = x + deviation e``, e standard normal by the transform of Box and Muller (1958):
    sqrt(-2 log u) cos(2 pi v) and sqrt(-2 log u) sin(2 pi v) of uniform u and v.

    Reads bits (B, ceil(n / 2)) int64 in [0, 2^63) and x (B, n); writes y (B, n).
    """
    u = (xp.astype(bits >> 32, x.dtype) + 0.5) * _UNIT  # never 0
    angle = xp.astype(bits & _WORD, x.dtype) * (2.0 * pi * _UNIT)
    radius = deviation * xp.sqrt(-2.0 * xp.log(u))
    noise = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
    y[...] = x + noise[:, : x.shape[1]]
