"""Random words of the numpy backend, a block at a time."""

from typing import Any

import numpy as np

from backends.reference.random import KEY_PARITY, ROTATIONS

Array = np.ndarray
BLOCK_SIZE = 4096  # random words computed at a time, so that all passes stay in the cache


def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    """Use NumPy's 32-bit words, which wrap around; the reference emulates them in 64 bits."""
    keys = [np.uint32(word) for word in (*key, key[0] ^ key[1] ^ KEY_PARITY)]
    # Each group of rounds ends by adding two words of the key; the second sum includes the group's number.
    offsets = [np.uint32((int(keys[(group + 2) % 3]) + group + 1) & 0xFFFFFFFF) for group in range(5)]
    highs = np.broadcast_to(high, out.shape)
    lows = np.broadcast_to(low, out.shape)
    for start in range(0, out.size, BLOCK_SIZE):
        block = slice(start, start + BLOCK_SIZE)
        x0 = highs[block].astype(np.uint32) + keys[0]
        x1 = lows[block].astype(np.uint32) + keys[1]
        scratch = np.empty_like(x0)
        for group in range(5):
            for rotation in ROTATIONS[group % 2]:
                x0 += x1
                np.left_shift(x1, np.uint32(rotation), out=scratch)
                x1 >>= np.uint32(32 - rotation)
                x1 |= scratch
                x1 ^= x0
            x0 += keys[(group + 1) % 3]
            x1 += offsets[group]
        out[block] = ((x0 >> np.uint32(1)).astype(np.int64) << 32) | x1
