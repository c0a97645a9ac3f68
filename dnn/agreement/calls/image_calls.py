"""Calls of the kernels on images: windows with leftover rows and columns, groups, dilation, warps.

A backward call has other images than the forward call before it, since a kernel must not keep them.
"""

from collections.abc import Iterable, Iterator
from math import ceil, prod
from typing import Any

import numpy as np

from backends.reference import Kernels
from backends.reference.windows import Padding, Pair
from dnn.agreement.calls.call import Call, Draw, output_array
from dnn.agreement.calls.covering import cover_pairs
from dnn.agreement.calls.vector_calls import MAX_NUMBERS

BATCHES = (1, 0, 2, 3, 65, 1025)
IMAGES = ((10, 8), (1, 3), (5, 5), (28, 28), (190, 200))
"""Heights and widths: even, one row, square, the usual 28 x 28, and more than 32,767 pixels."""
WINDOWS = ((2, 3), (1, 1), (3, 3), (5, 1), (19, 14), (5, 5))
"""Sizes of windows: one pixel, of more than 256 pixels, a whole image."""
STRIDES = ((2, 2), (1, 1), (2, 3), (4, 1), (5, 6))
BORDERS = (((0, 0), (0, 0)), ((1, 1), (1, 1)), ((1, 0), (0, 2)), ((9, 9), (9, 9)))
"""Padding: none, even, on some sides, and so wide that entire windows lie in it."""
CHANNELS = (1, 2, 3, 8, 33, 257)
FILTERS = (1, 4, 8, 9, 65, 257)
GROUPS = (1, 2, 4, 8)
DILATIONS = ((1, 1), (2, 1), (2, 3))
MAX_PRODUCTS = 1 << 22


def count_windows(image: Pair, size: Pair, strides: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Pair:
    """Return the numbers of windows down and across: below 1 if they do not fit."""
    down, across = (
        (n + sum(border) - apart * (extent - 1) - 1) // step + 1
        for n, border, apart, extent, step in zip(image, padding, dilation, size, strides, strict=True)
    )
    return down, across


def fits(
    batch: int, image: Pair, size: Pair, strides: Pair, padding: Padding, channels: int,
    n: int, groups: int = 1, dilation: Pair = (1, 1), *_: Any,
) -> bool:  # fmt: skip
    """Return whether there are windows, and few enough products with n filters."""
    windows = count_windows(image, size, strides, padding, dilation)
    products = batch * prod(windows) * prod(size) * channels * n
    largest = max(batch * prod(image), prod(size) * n) * channels
    return products <= MAX_PRODUCTS and largest <= MAX_NUMBERS and min(windows) > 0


def both_ways(padding: Padding) -> Iterable[Padding]:
    """Return the padding and its mirror image: a kernel that keeps arrays by their shape confuses them."""
    (top, bottom), (left, right) = padding
    return dict.fromkeys((padding, ((bottom, top), (right, left))))


def convolution_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of convolution, with and without groups and dilation."""
    plain = BATCHES, IMAGES, WINDOWS, STRIDES, BORDERS, CHANNELS, FILTERS, (1,), DILATIONS[:1]
    # (1, 2) and (1, 3) are the numbers of channels and of filters in a group.
    grouped = (BATCHES[:-1], *plain[1:5], (1, 2), (1, 3), GROUPS, DILATIONS)
    for values in (plain, grouped):
        rows = cover_pairs(*values, (True, False), allowed=fits)
        for batch, image, size, strides, padding, channels, n, groups, dilation, has_dx in rows:
            windows = count_windows(image, size, strides, padding, dilation)
            x = draw(batch, *image, channels * groups)
            W = draw(*size, channels, n * groups)
            dz = draw(batch, *windows, n * groups)
            k = max(W.size, dz.size, 1)
            for border in both_ways(padding):
                geometry: Any = strides, border, dilation
                arguments = x, W, draw(n * groups), *geometry, output_array(*dz.shape)
                yield Call("conv2d", arguments, k)
                dx = output_array(*x.shape) if has_dx else None
                x = -x
                arguments = dz, x, W, *geometry, (output_array(*W.shape), output_array(n * groups), dx)
                yield Call("conv2d_backward", arguments, k)
    for special in (np.nan, np.inf):  # 0 times it is NaN, also beside the image
        W = draw(3, 3, 2, 4)
        W[..., 1] = special
        arguments = np.zeros((2, 5, 5, 2)), W, draw(4), (1, 1), BORDERS[1], (1, 1), output_array(2, 5, 5, 4)
        yield Call("conv2d", arguments, W.size)


def pooling_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of pooling: distinct and equal pixels, windows of -inf, NaN. No window is only border."""
    rows = cover_pairs(
        # The first row has only first values: windows of 2 x 2 at strides of 2, which fill the image.
        BATCHES, IMAGES, ((2, 2), *WINDOWS), STRIDES, BORDERS, CHANNELS, ("usual", "NaN", "-inf"),
        allowed=lambda *row: fits(*row[:6], 2) and max(map(max, row[4])) < min(row[2]),
    )  # fmt: skip
    for batch, image, size, strides, padding, channels, special in rows:
        windows = count_windows(image, size, strides, padding)
        x = draw(batch, *image, channels)
        if special == "NaN":
            x[-1:, -1, -2:] = np.nan  # two in a window
        if special == "-inf":
            x[:1, :4, :4] = -np.inf
        dy = draw(batch, *windows, channels)
        for border in both_ways(padding):
            geometry: Any = size, strides, border
            y, index = np.zeros(dy.shape), np.zeros(dy.shape, dtype=int)
            Kernels(np).max_pool2d(-x, size, strides, border, y, index)
            outputs = output_array(*dy.shape), output_array(*dy.shape, dtype=int)
            yield Call("max_pool2d", (x, *geometry, *outputs))
            yield Call("max_pool2d_backward", (dy, index, *geometry, output_array(*x.shape)))
            k = prod(size)
            yield Call("average_pool2d", (x, *geometry, output_array(*dy.shape)), k)
            yield Call("average_pool2d_backward", (dy, *geometry, output_array(*x.shape)), k)


def warp_calls(draw: Draw) -> Iterator[Call]:
    """Yield calls of the kernels of RandomElastic and other augmentations.

    Displacements are sums of integers. Warped pixels lie at multiples of 1/4, inside and outside the image.
    """
    rows = cover_pairs(
        (1, 0, 6, 129, 1025), ((7, 9), (1, 3), (5, 5), (28, 30), (190, 200)), (1, 2, 3), (1.0, 0.0, 100.0),
        (False, True), (32.0, 1.0),
        allowed=lambda batch, image, channels, *_: batch * prod(image) * channels <= MAX_NUMBERS,
    )  # fmt: skip
    for batch, (height, width), channels, far, turned, strength in rows:
        shares = [draw(n, n, below=max(4096 // n, 1)) * 1.0 for n in (height, width)]
        moves = output_array(batch, 2, height, width)
        bits = draw(batch, ceil(2 * height * width / 7), below=1 << 63)
        yield Call("displacements", (bits, *shares, strength, moves))
        quarters = far * (draw(*moves.shape, below=25) / 4 - 3.0)
        x = draw(batch, height, width, channels)
        matrix = draw(batch, 2, 2) / 4.0 if turned else np.tile(np.eye(2), (batch, 1, 1))
        yield Call("warp_images", (x, matrix, quarters, output_array(*x.shape)))
