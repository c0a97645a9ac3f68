"""Windows that slide over images: what convolution and pooling share.

Images are (B, H, W, C), channels last. A window has (h, w) pixels; window (p, q) begins at row
p s - top and column q t - left, for strides (s, t) and padding ((top, bottom), (left, right)).
"""

from collections.abc import Iterator
from typing import Any

from backends.reference.signatures import Array

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


def pad(xp: Any, x: Array, padding: Padding, fill: float = 0.0) -> Array:
    """x with a border of ``fill``; x itself where there is no border."""
    (top, bottom), (left, right) = padding
    if not any((top, bottom, left, right)):
        return x
    batch, height, width, channels = x.shape
    shape = (batch, top + height + bottom, left + width + right, channels)
    wide = xp.full(shape, fill, dtype=x.dtype, device=x.device)
    wide[:, top : top + height, left : left + width, :] = x
    return wide


def without_border(wide: Array, padding: Padding) -> Array:
    """The view of a padded image that the image itself is."""
    (top, bottom), (left, right) = padding
    return wide[:, top : wide.shape[1] - bottom, left : wide.shape[2] - right, :]


def pixels(size: Pair, strides: Pair, windows: Pair) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
    """(i, j, index) for each pixel of a window: ``wide[index]`` is (B, rows, columns, C), that pixel of
    every window of a padded image."""
    s, t = strides
    rows, columns = windows
    everything = slice(None)
    for i in range(size[0]):
        for j in range(size[1]):
            down = slice(i, i + s * (rows - 1) + 1, s)
            across = slice(j, j + t * (columns - 1) + 1, t)
            yield i, j, (everything, down, across, everything)


def starts(xp: Any, strides: Pair, padding: Padding, windows: Pair, device: Any) -> tuple[Array, Array]:
    """First row and first column of each window, in pixels of the image without border:
    (1, rows, 1, 1) and (1, 1, columns, 1) int64."""
    s, t = strides
    (top, _), (left, _) = padding
    rows = xp.arange(windows[0], dtype=xp.int64, device=device) * s - top
    columns = xp.arange(windows[1], dtype=xp.int64, device=device) * t - left
    return rows[None, :, None, None], columns[None, None, :, None]
