"""The keyed generator of random numbers."""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array

_WORD = 0xFFFFFFFF
ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


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
