"""Numba's image augmentation: one compiled pass each, with the bits of the reference."""

from functools import partial
from typing import Any

import numpy as np

from backends.numba.compilation import jit_cached
from backends.numpy.products import product
from backends.reference.warping import FIRST_SUM_SCALE, MOVES_SCALE

Array = np.ndarray
# No fused product and sum: every bit is that of the reference.
jit_exact = partial(jit_cached, fastmath=set())


@jit_exact
def _bytes_to_noise(bits, noise):  # type: ignore[no-untyped-def]
    words = bits.shape[1]
    for k in range(noise.shape[0]):
        for i in range(7):
            part = noise[k, i * words :]
            for n in range(min(words, part.shape[0])):
                part[n] = 2 * np.int32((bits[k, n] >> (8 * i)) & 255) - np.int32(255)


@jit_exact
def _scale_and_transpose(down, transposed):  # type: ignore[no-untyped-def]
    f = down.dtype.type
    for k in range(down.shape[0]):
        for i in range(down.shape[2]):
            for j in range(down.shape[1]):
                transposed[k, i, j] = np.floor(down[k, j, i] * f(FIRST_SUM_SCALE) + f(0.5))


def smooth_moves(xp: Any, bits: Array, rows: Array, columns: Array, strength: float, moves: Array) -> None:
    batch, _, height, width = moves.shape
    noise = np.empty((batch, 2 * height * width), moves.dtype)
    _bytes_to_noise(bits, noise)
    down = product(noise.reshape(-1, height), rows)
    transposed = np.empty((2 * batch, height, width), moves.dtype)
    _scale_and_transpose(down.reshape(-1, width, height), transposed)
    product(transposed.reshape(-1, width), columns, moves.reshape(-1, width))
    moves *= strength * MOVES_SCALE


@jit_exact
def _warp(x, matrix, moves, y):  # type: ignore[no-untyped-def]
    f = x.dtype.type
    batch, height, width, channels = x.shape
    middle_row = f(0.5 * (height - 1))
    middle_column = f(0.5 * (width - 1))
    # A border of two zeros on each side: farther out all four neighbors are zeros of the border.
    wide = np.zeros((height + 4) * (width + 4) * channels, x.dtype)
    place = np.empty(width, np.int32)
    below = np.empty(width, x.dtype)
    after = np.empty(width, x.dtype)
    line = (width + 4) * channels
    for k in range(batch):
        for p in range(height):
            for q in range(width):
                for channel in range(channels):  # assigning a slice would take seconds to compile
                    wide[(p + 2) * line + (q + 2) * channels + channel] = x[k, p, q, channel]
        (a, b), (c, d) = matrix[k]
        for p in range(height):
            down = f(p) - middle_row
            for q in range(width):
                right = f(q) - middle_column
                row = a * down + b * right + middle_row + moves[k, 0, p, q]
                column = c * down + d * right + middle_column + moves[k, 1, p, q]
                row = min(max(row, f(-2)), f(height))
                column = min(max(column, f(-2)), f(width))
                top = np.floor(row)
                left = np.floor(column)
                below[q] = row - top
                after[q] = column - left
                place[q] = (np.int32(top) + 2) * line + (np.int32(left) + 2) * channels
            for channel in range(channels):
                for q in range(width):
                    at = place[q] + channel
                    above = f(1) - below[q]
                    before = f(1) - after[q]
                    total = wide[at] * (above * before) + wide[at + channels] * (above * after[q])
                    total += wide[at + line] * (below[q] * before)
                    y[k, p, q, channel] = total + wide[at + line + channels] * (below[q] * after[q])


def warp_images(xp: Any, x: Array, matrix: Array, moves: Array, y: Array) -> None:
    _warp(x, matrix, moves, y)
