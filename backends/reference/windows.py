"""Sliding windows over images, for convolution and pooling.

Images are (B, H, W, C), channels last. A window has (h, w) pixels; window (p, q) begins at row
p s - top and column q t - left, for strides (s, t) and padding ((top, bottom), (left, right)). Its pixel
(i, j) is d i rows and e j columns from there, for dilation (d, e).
"""

from collections.abc import Iterator
from typing import Any

from backends.reference.signatures import Array

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def pad(xp: Any, x: Array, padding: Padding, fill: float = 0.0) -> Array:
    """Return x with a border of ``fill``; x itself if the padding is 0."""
    (top, bottom), (left, right) = padding
    if not any((top, bottom, left, right)):
        return x
    batch, height, width, channels = x.shape
    shape = (batch, top + height + bottom, left + width + right, channels)
    wide = xp.full(shape, fill, dtype=x.dtype, device=x.device)
    wide[:, top : top + height, left : left + width, :] = x
    return wide


def crop_border(wide: Array, padding: Padding) -> Array:
    """Return the view of padded images without their border."""
    (top, bottom), (left, right) = padding
    return wide[:, top : wide.shape[1] - bottom, left : wide.shape[2] - right, :]


def window_pixels(
    size: Pair, strides: Pair, windows: Pair, dilation: Pair = (1, 1), channels: slice = slice(None)
) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
    """Yield (i, j, index) for each pixel (i, j) of a window.

    ``wide[index]`` is (B, rows, columns, C): that pixel in every window of padded images, and these channels.
    """
    s, t = strides
    rows, columns = windows
    d, e = dilation
    for i in range(size[0]):
        for j in range(size[1]):
            down = slice(d * i, d * i + s * (rows - 1) + 1, s)
            across = slice(e * j, e * j + t * (columns - 1) + 1, t)
            yield i, j, (slice(None), down, across, channels)
