"""The keyed generator of random bits, and noise from them: numbers left out, and numbers added.

The bits are integers of 63 bits, of which for noise the upper 31 and the lower 31 serve one number of the
left and one of the right half of a row.
"""

from math import pi
from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array

_WORD = 0xFFFFFFFF
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA
_HALF = 0x7FFFFFFF
_UNIT = 2.0**-31


@kernel(writes=("out",))
def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    """Threefry-2x32 with 20 rounds (Salmon et al. 2011): a random integer for each counter.

    A generator without state: the same key and counter give the same bits on every library. The
    32-bit words are held in int64, where the standard defines every operation used: no sum or shift
    of two words leaves 62 bits.

    Reads high and low (n,) or (1,) int64, the counter's words, each in [0, 2^32); writes out (n,)
    int64 in [0, 2^63): the first result word without its last bit, then the second word.
    """
    keys = (key[0], key[1], key[0] ^ key[1] ^ PARITY)
    x0 = (high + keys[0]) & _WORD
    x1 = (low + keys[1]) & _WORD
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = (x0 + x1) & _WORD
            x1 = (((x1 << r) | (x1 >> (32 - r))) & _WORD) ^ x0
        x0 = (x0 + keys[(group + 1) % 3]) & _WORD
        x1 = (x1 + keys[(group + 2) % 3] + group + 1) & _WORD
    out[...] = ((x0 >> 1) << 32) | x1


@kernel(writes=("mask", "y"))
def dropout(xp: Any, bits: Array, x: Array, rate: float, mask: Array, y: Array) -> None:
    """``y = x mask``; mask is 0 with probability rate, else 1 / (1 - rate) (Srivastava et al. 2014).

    The same bits give the same mask on every library, in every dtype.

    Reads bits (B, ceil(n / 2)) int64 in [0, 2^63) and x (B, n); writes mask and y (B, n).
    """
    words = xp.concat([bits >> 32, bits & _HALF], axis=1)[:, : x.shape[1]]
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
    angle = xp.astype(bits & _HALF, x.dtype) * (2.0 * pi * _UNIT)
    radius = deviation * xp.sqrt(-2.0 * xp.log(u))
    noise = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
    y[...] = x + noise[:, : x.shape[1]]
