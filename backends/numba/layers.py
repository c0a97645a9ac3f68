"""Numba's dense layer, random bits, moves and warped images: a compiled pass each, where NumPy needs many."""

from functools import partial
from typing import Any

import numpy as np

from backends.dispatch import override
from backends.numba.compiling import compiled
from backends.numba.elementwise import KINDS, activate
from backends.numpy.products import product
from backends.reference.random import PARITY, ROTATIONS
from backends.reference.warping import HALVED, WHOLE

Array = np.ndarray
exactly = partial(compiled, fastmath=())  # no product and sum become one: every bit is the reference's
BLOCK = 1024  # counters whose words stay in the cache


@compiled
def _bias_activation(y, b, kind):  # type: ignore[no-untyped-def]
    for i in range(y.shape[0]):
        row = y[i]
        for j in range(row.shape[0]):
            row[j] += b[j]
        activate(row, kind)


@override(dtypes=("float32",), kinds=KINDS)
def dense(xp: Any, kind: str, x: Array, W: Array, b: Array, y: Array) -> None:
    product(x, W, y)
    _bias_activation(y, b, KINDS[kind])


@compiled
def _threefry(keys, high, low, out):  # type: ignore[no-untyped-def]
    a = np.empty(BLOCK, np.uint32)
    b = np.empty(BLOCK, np.uint32)
    for start in range(0, out.shape[0], BLOCK):
        n = min(BLOCK, out.shape[0] - start)
        for i in range(n):
            a[i] = np.uint32(high[start + i if high.shape[0] > 1 else 0]) + keys[0]
            b[i] = np.uint32(low[start + i if low.shape[0] > 1 else 0]) + keys[1]
        for group in range(5):
            for r in ROTATIONS[group % 2]:
                for i in range(n):
                    a[i] += b[i]
                    b[i] = ((b[i] << np.uint32(r)) | (b[i] >> np.uint32(32 - r))) ^ a[i]
            for i in range(n):
                a[i] += keys[(group + 1) % 3]
                b[i] += keys[(group + 2) % 3] + np.uint32(group + 1)
        for i in range(n):
            out[start + i] = (np.int64(a[i] >> np.uint32(1)) << 32) | np.int64(b[i])


def threefry(xp: Any, key: tuple[int, int], high: Array, low: Array, out: Array) -> None:
    _threefry(np.asarray([*key, key[0] ^ key[1] ^ PARITY], np.uint32), high, low, out)


@exactly
def _noise(bits, noise):  # type: ignore[no-untyped-def]
    words = bits.shape[1]
    for k in range(noise.shape[0]):
        for i in range(7):
            part = noise[k, i * words :]
            for n in range(min(words, part.shape[0])):
                part[n] = 2 * np.int32((bits[k, n] >> (8 * i)) & 255) - np.int32(255)


@exactly
def _halved(down, turned):  # type: ignore[no-untyped-def]
    f = down.dtype.type
    for k in range(down.shape[0]):
        for i in range(down.shape[2]):
            for j in range(down.shape[1]):
                turned[k, i, j] = np.floor(down[k, j, i] * f(HALVED) + f(0.5))


def smooth_moves(xp: Any, bits: Array, rows: Array, columns: Array, strength: float, moves: Array) -> None:
    batch, _, height, width = moves.shape
    noise = np.empty((batch, 2 * height * width), moves.dtype)
    _noise(bits, noise)
    down = product(noise.reshape(-1, height), rows)
    turned = np.empty((2 * batch, height, width), moves.dtype)
    _halved(down.reshape(-1, width, height), turned)
    product(turned.reshape(-1, width), columns, moves.reshape(-1, width))
    moves *= strength * WHOLE


@exactly
def _warp(x, matrix, moves, y):  # type: ignore[no-untyped-def]
    f = x.dtype.type
    batch, height, width, channels = x.shape
    middle = f(0.5 * (height - 1))
    centre = f(0.5 * (width - 1))
    # A border of two zeros on each side: where all four neighbours are outside, they are in it.
    wide = np.zeros((height + 4) * (width + 4) * channels, x.dtype)
    place = np.empty(width, np.int32)
    low = np.empty(width, x.dtype)
    far = np.empty(width, x.dtype)
    line = (width + 4) * channels
    for k in range(batch):
        wide.reshape(height + 4, width + 4, channels)[2:-2, 2:-2] = x[k]
        (a, b), (c, d) = matrix[k]
        for p in range(height):
            down = f(p) - middle
            for q in range(width):
                right = f(q) - centre
                row = a * down + b * right + middle + moves[k, 0, p, q]
                column = c * down + d * right + centre + moves[k, 1, p, q]
                row = min(max(row, f(-2)), f(height))
                column = min(max(column, f(-2)), f(width))
                top = np.floor(row)
                left = np.floor(column)
                low[q], far[q] = row - top, column - left
                place[q] = (np.int32(top) + 2) * line + (np.int32(left) + 2) * channels
            for channel in range(channels):
                for q in range(width):
                    at = place[q] + channel
                    above = f(1) - low[q]
                    before = f(1) - far[q]
                    total = wide[at] * (above * before) + wide[at + channels] * (above * far[q])
                    total += wide[at + line] * (low[q] * before)
                    y[k, p, q, channel] = total + wide[at + line + channels] * (low[q] * far[q])


def warp_images(xp: Any, x: Array, matrix: Array, moves: Array, y: Array) -> None:
    _warp(x, matrix, moves, y)
