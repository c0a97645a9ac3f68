"""The keyed random generator, dropout and Gaussian noise.

The generator returns 63-bit integers. Noise uses the upper 31 bits for a number in the left half of a row and
the lower 31 bits for one in the right half.
"""

from math import pi

from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Key

_WORD_MASK = 0xFFFFFFFF
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_KEY_PARITY = 0x1BD11BDA
_LOW_BITS_MASK = 0x7FFFFFFF
_BITS_SCALE = 2.0**-31


def key_words(key: Key) -> tuple[int, int, int]:
    """Return the three words that the rounds add."""
    return *key, key[0] ^ key[1] ^ _KEY_PARITY


def threefry_integer(keys: tuple[int, int, int], high: Array, low: Array) -> Array:
    """Return the random integers of counters (high, low): arrays, or single numbers in compiled code."""
    x0 = (high + keys[0]) & _WORD_MASK
    x1 = (low + keys[1]) & _WORD_MASK
    for group in range(5):
        for r in ROTATIONS[group % 2]:
            x0 = (x0 + x1) & _WORD_MASK
            x1 = (((x1 << r) | (x1 >> (32 - r))) & _WORD_MASK) ^ x0
        x0 = (x0 + keys[(group + 1) % 3]) & _WORD_MASK
        x1 = (x1 + keys[(group + 2) % 3] + group + 1) & _WORD_MASK
    return ((x0 >> 1) << 32) | x1


class RandomKernels(KernelBase):
    """The generator, and the kernels that use its bits."""

    @kernel(writes=("out",))
    def threefry(self, key: Key, high: Array, low: Array, out: Array) -> None:
        """Threefry-2x32 with 20 rounds (Salmon et al. 2011): a random integer for each counter.

        The generator has no state: the same key and counter give the same bits on every library. The 32-bit
        words are held in int64, for which the array API defines all operations used; sums and shifts of words
        stay below 62 bits.

        Reads high and low (n,) or (1,) int64, the counter's words, each in [0, 2^32); writes out (n,)
        int64 in [0, 2^63): the first result word without its lowest bit, then the second word.
        """
        out[...] = threefry_integer(key_words(key), high, low)

    @kernel(writes=("mask", "y"))
    def dropout(self, bits: Array, x: Array, rate: float, mask: Array, y: Array) -> None:
        """``y = x mask``; mask is 0 with probability rate, else 1 / (1 - rate) (Srivastava et al. 2014).

        The same bits give the same mask on every library, in every dtype.

        Reads bits (B, ceil(n / 2)) int64 in [0, 2^63) and x (B, n); writes mask and y (B, n).
        """
        xp = self.xp
        limit = round(rate / _BITS_SCALE)
        kept = xp.concat([(bits >> 32) >= limit, (bits & _LOW_BITS_MASK) >= limit], axis=1)
        mask[...] = xp.astype(kept[:, : x.shape[1]], x.dtype)
        mask *= 1.0 / (1.0 - rate)
        y[...] = x * mask

    @kernel(writes=("y",))
    def gaussian_noise(self, bits: Array, x: Array, deviation: float, y: Array) -> None:
        """``y = x + deviation e`` with e standard normal.

        e is sqrt(-2 log u) cos(2 pi v) and sqrt(-2 log u) sin(2 pi v) of uniform u, v (Box and Muller 1958).

        Reads bits (B, ceil(n / 2)) int64 in [0, 2^63) and x (B, n); writes y (B, n).
        """
        xp = self.xp
        u = (xp.astype(bits >> 32, x.dtype) + 0.5) * _BITS_SCALE  # never 0
        angle = xp.astype(bits & _LOW_BITS_MASK, x.dtype) * (2.0 * pi * _BITS_SCALE)
        radius = deviation * xp.sqrt(-2.0 * xp.log(u))
        noise = xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1)
        y[...] = x + noise[:, : x.shape[1]]
