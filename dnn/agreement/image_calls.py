"""Calls of the kernels on images: windows with leftover rows and columns, groups, dilation, warps."""

from collections.abc import Iterator
from math import ceil, prod
from typing import Any

import numpy as np

from backends.reference import Kernels
from dnn.agreement import textbook
from dnn.agreement.call import Call, Draw, output_array

NO_PADDING = ((0, 0), (0, 0))
WINDOWS = (  # batch, height, width, channels, outputs, size, strides, padding
    (3, 8, 7, 1, 8, (3, 2), (2, 3), NO_PADDING),
    (2, 7, 9, 3, 1, (2, 3), (3, 2), ((1, 0), (0, 1))),
    (5, 6, 8, 4, 9, (1, 1), (2, 3), NO_PADDING),
    (1, 9, 6, 7, 3, (1, 1), (4, 1), ((0, 1), (1, 0))),
    (4, 5, 5, 8, 8, (3, 3), (1, 1), ((1, 1), (1, 1))),
    (2, 10, 5, 9, 7, (4, 2), (3, 3), ((1, 2), (1, 0))),
    (1, 4, 11, 16, 4, (2, 4), (3, 3), ((1, 1), (2, 3))),
    (65, 28, 28, 1, 3, (3, 3), (1, 1), NO_PADDING),
    (1, 9, 11, 33, 65, (9, 8), (1, 1), NO_PADDING),
    (129, 3, 4, 2, 1, (2, 2), (1, 1), NO_PADDING),
    (3, 6, 6, 2, 5, (2, 2), (2, 2), NO_PADDING),
)
"""Windows that leave rows and columns over, on each side; some have many pixels, channels or images."""
GROUPS = ((1, (2, 2)), (2, (1, 2)), (4, (1, 1)), (8, (2, 1)), (16, (1, 1)))
"""Numbers of groups of channels, and dilations."""


def image_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of convolution and pooling."""
    for i, (batch, height, width, channels, n, size, strides, padding) in enumerate(WINDOWS):
        rows, columns = (
            (length + sum(border) - extent) // step + 1
            for length, border, extent, step in zip((height, width), padding, size, strides, strict=True)
        )
        what = f"{height} x {width} x {channels}, {size} windows, strides {strides}, padding {padding}"
        x, W, dz = (
            draw(batch, height, width, channels),
            draw(*size, channels, n),
            draw(batch, rows, columns, n),
        )
        k = max(W.size, dz.size)
        gradients = output_array(*W.shape), output_array(n), output_array(*x.shape) if i % 4 else None
        yield Call("conv2d", what, (x, W, draw(n), strides, padding, output_array(*dz.shape)), n_terms=k)
        yield Call("conv2d_backward", what, (dz + 1.0, x, W, strides, padding, gradients), n_terms=k)
        if size == (1, 1):
            continue
        dy = draw(batch, rows, columns, channels)
        y, index = np.zeros(dy.shape), np.zeros(dy.shape, dtype=int)
        for part, backward in (("average", (dy,)), ("max", (dy, index))):
            geometry = size, strides, padding
            exact: Any = {"n_terms": prod(size) * (part == "average")}
            yield Call(
                f"{part}_pool2d_backward", what, (*backward, *geometry, output_array(*x.shape)), **exact
            )
            outputs = [output_array(*dy.shape), output_array(*dy.shape, dtype=int)][: len(backward)]
            yield Call(f"{part}_pool2d", what, (x, *geometry, *outputs), **exact)
            x[-1:, 1, 1] = np.nan
            x[:1, 1:4, 1:4] = -np.inf
            Kernels(np).max_pool2d(x, *geometry, y, index)
    for groups, (d, e) in GROUPS:
        x, W, dz = draw(3, 7, 8, 16), draw(2, 3, 16 // groups, 32), draw(3, 4, 4, 32) + 1.0
        geometry_: Any = ((2, 2), ((0, d), (1, 2 * e - 1)), (d, e))
        what = f"{groups} groups, dilation {d, e}"
        gradients = output_array(*W.shape), output_array(32), output_array(*x.shape)
        yield Call("grouped_conv2d", what, (x, W, draw(32), *geometry_, output_array(*dz.shape)), n_terms=288)
        yield Call("grouped_conv2d_backward", what, (dz, x, W, *geometry_, gradients), n_terms=288)


def warp_calls(seed: int, draw: Draw) -> Iterator[Call]:
    """Yield calls of the kernels of RandomElastic and other augmentations.

    Displacements are sums of integers. Warped pixels lie at multiples of 1/4, inside and outside the image.
    """
    draws = textbook.random_bits(seed, "agreement views", 0, 0, 3 * 28 * 30 * 2)
    for batch, height, width in ((6, 7, 9), (6, 5, 5), (3, 28, 30), (129, 3, 4)):
        shares = [(draws[: n * n].reshape(n, n) >> 20) % (4096 // n) * 1.0 for n in (height, width)]
        moves = output_array(batch, 2, height, width)
        what = f"{height} x {width} pixels"
        bits = np.resize(draws, (batch, ceil(2 * height * width / 7)))
        yield Call("smooth_moves", what, (bits, *shares, 32.0, moves))
        quarters = (np.resize(draws, moves.shape) >> 40) % 25 / 4 - 3.0
        x = draw(batch, height, width, 2)
        for matrix in (np.tile(np.eye(2), (batch, 1, 1)), draw(batch, 2, 2) / 4.0):
            yield Call("warp_images", what, (x, matrix, quarters, output_array(*x.shape)))
