"""NumPy's threefry in its own 32-bit words, which wrap around, in blocks that stay in the cache."""

from typing import Any

import numpy as np

from backends.reference.random import PARITY, ROTATIONS

Array = np.ndarray
BLOCK = 4096


def _rotate(x: Array, r: int, scratch: Array) -> None:
    np.left_shift(x, np.uint32(r), out=scratch)
    np.right_shift(x, np.uint32(32 - r), out=x)
    x |= scratch


def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    keys = [np.uint32(word) for word in (*key, key[0] ^ key[1] ^ PARITY)]
    # After each group of rounds two words of the key are added, to the second one also the group's number.
    seconds = [np.uint32((int(keys[(group + 2) % 3]) + group + 1) & 0xFFFFFFFF) for group in range(5)]
    highs, lows = (np.broadcast_to(words, out.shape) for words in (high, low))
    for start in range(0, out.size, BLOCK):
        part = slice(start, start + BLOCK)
        x0 = highs[part].astype(np.uint32)
        x1 = lows[part].astype(np.uint32)
        x0 += keys[0]
        x1 += keys[1]
        scratch = np.empty_like(x0)
        for group in range(5):
            for r in ROTATIONS[group % 2]:
                x0 += x1
                _rotate(x1, r, scratch)
                x1 ^= x0
            x0 += keys[(group + 1) % 3]
            x1 += seconds[group]
        result = (x0 >> np.uint32(1)).astype(np.int64)
        result <<= 32
        result |= x1
        out[part] = result
