"""Max and average pooling of windows, separately per channel; channels last."""

from typing import Any

from backends.reference.arithmetic import clip
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array
from backends.reference.windows import Padding, Pair, crop_border, pad, window_pixels


def _sum_windows(xp: Any, x: Array, size: Pair, strides: Pair, padding: Padding, windows: Pair) -> Array:
    """Return the sum of the pixels in each window: (B, rows, columns, C)."""
    wide = pad(xp, x, padding)
    total = 0.0
    for _, _, place in window_pixels(size, strides, windows):
        total = total + wide[place]
    return total


def _count_pixels(xp: Any, image: Array, *geometry: Any) -> Array:
    """Return how many pixels of the image each window has: (1, rows, columns, 1) in the image's dtype."""
    ones = xp.ones((1, *image.shape[1:3], 1), dtype=image.dtype, device=image.device)
    return _sum_windows(xp, ones, *geometry)


def _number_pixels(xp: Any, image: Array, padding: Padding) -> Array:
    """Return row * W + column of each pixel of padded images, (1, rows, columns, 1) int64.

    A pixel of the border has the number of the nearest pixel of the image.
    """
    coordinates = []
    for n, (before, after) in zip(image.shape[1:3], padding, strict=True):
        line = xp.arange(-before, n + after, dtype=xp.int64, device=image.device)
        coordinates.append(clip(xp, line, 0, n - 1))
    return (coordinates[0][:, None] * image.shape[2] + coordinates[1])[None, :, :, None]


class PoolingKernels(KernelBase):
    """Max and average pooling, and their gradients."""

    @kernel(writes=("y", "index"))
    def max_pool2d(
        self, x: Array, size: Pair, strides: Pair, padding: Padding, y: Array, index: Array
    ) -> None:
        """``y_pq = max over the window's pixels`` and its place; pixels outside the image do not count.

        As in torch, the first of equal pixels (row by row) is the maximum. NaN is larger than any number, and
        of several NaN the last one is the maximum.

        Reads x (B, H, W, C); writes y (B, rows, columns, C) and index (B, rows, columns, C) int64, the place
        row * W + column of the maximum in its image.
        """
        xp = self.xp
        wide = pad(xp, x, padding, -float("inf"))
        numbers = _number_pixels(xp, x, padding)
        places = [place for _, _, place in window_pixels(size, strides, y.shape[1:3])]
        y[...] = -float("inf")
        index[...] = numbers[places[0]]
        for place in places:
            pixel = wide[place]
            better = (pixel > y) | xp.isnan(pixel)
            y[...] = xp.where(better, pixel, y)
            index[...] = xp.where(better, numbers[place], index)

    @kernel(writes=("dx",))
    def max_pool2d_backward(
        self, dy: Array, index: Array, size: Pair, strides: Pair, padding: Padding, dx: Array
    ) -> None:
        """``dx = sum of dy over the windows in which the pixel was the maximum``.

        Reads dy and index (B, rows, columns, C) as ``max_pool2d`` left it; writes dx (B, H, W, C).
        """
        xp = self.xp
        wide = xp.zeros_like(pad(xp, dx, padding))
        numbers = _number_pixels(xp, dx, padding)
        zero = xp.zeros_like(dy)
        for _, _, place in window_pixels(size, strides, dy.shape[1:3]):
            wide[place] = wide[place] + xp.where(index == numbers[place], dy, zero)
        dx[...] = crop_border(wide, padding)

    @kernel(writes=("y",))
    def average_pool2d(self, x: Array, size: Pair, strides: Pair, padding: Padding, y: Array) -> None:
        """``y_pq = mean over the window's pixels``; pixels outside the image do not count.

        Reads x (B, H, W, C); writes y (B, rows, columns, C).
        """
        xp = self.xp
        geometry = size, strides, padding, y.shape[1:3]
        total = _sum_windows(xp, x, *geometry)
        y[...] = total / _count_pixels(xp, x, *geometry)

    @kernel(writes=("dx",))
    def average_pool2d_backward(
        self, dy: Array, size: Pair, strides: Pair, padding: Padding, dx: Array
    ) -> None:
        """``dx = sum of dy / (number of pixels in the window) over the windows that contain the pixel``.

        Reads dy (B, rows, columns, C); writes dx (B, H, W, C).
        """
        xp = self.xp
        windows = dy.shape[1:3]
        share = dy / _count_pixels(xp, dx, size, strides, padding, windows)
        wide = xp.zeros_like(pad(xp, dx, padding))
        for _, _, place in window_pixels(size, strides, windows):
            wide[place] = wide[place] + share
        dx[...] = crop_border(wide, padding)
