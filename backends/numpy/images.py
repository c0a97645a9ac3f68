"""NumPy's kernels of images: convolution, its gradient, and augmentation.

Windows are unfolded into the rows of a matrix (im2col), a few images at a time.
"""

from collections.abc import Iterator

import numpy as np

from backends.numpy.products import blas_threads, column_sums, product
from backends.reference import Kernels
from backends.reference.signatures import Arrays
from backends.reference.windows import Padding, Pair, crop_border, pad, window_pixels

Array = np.ndarray
IMAGES_PER_BLOCK = 32  # images that ``warp_images`` computes at a time
MAX_UNFOLDED_NUMBERS = 1 << 18  # of a block: it and its product then stay in the cache


def _windows(wide: Array, size: Pair, strides: Pair) -> Array:
    """Return all windows of padded images as a view (B, rows, columns, h, w, C)."""
    views = np.lib.stride_tricks.sliding_window_view(wide, size, axis=(1, 2))
    return views[:, :: strides[0], :: strides[1]].transpose(0, 1, 2, 4, 5, 3)


def _unfold(windows: Array) -> Array:
    """Reshape windows (n, rows, columns, h, w, C) into a matrix (n rows columns, h w C)."""
    h, w, channels = windows.shape[3:]
    if channels == 1:  # copy pixel by pixel: these runs of memory are longer
        planes: Array = windows[..., 0].transpose(3, 4, 0, 1, 2).reshape(h * w, -1).T
        return planes
    return windows.reshape(-1, h * w * channels)


def _blocks(batch: int, numbers: int) -> Iterator[slice]:
    """Yield slices of images: at most MAX_UNFOLDED_NUMBERS each, but at least one image of ``numbers``."""
    step = max(1, MAX_UNFOLDED_NUMBERS // numbers)
    return (slice(start, start + step) for start in range(0, batch, step))


class NumpyImages(Kernels):
    """Convolution and augmentation."""

    def conv2d(self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, z: Array) -> None:
        h, w, _, n_out = W.shape
        batch, rows, columns, _ = z.shape
        views = _windows(pad(np, x, padding), (h, w), strides)
        flat = W.reshape(-1, n_out)
        for part in _blocks(batch, rows * columns * flat.shape[0]):
            out = z[part].reshape(-1, n_out)
            product(_unfold(views[part]), flat, out)
            out += b

    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, gradients: Arrays
    ) -> None:
        dW, db, dx = gradients
        h, w, n_in, n_out = W.shape
        batch, rows, columns, _ = dz.shape
        wide = pad(np, x, padding)
        views = _windows(wide, (h, w), strides)
        total = np.zeros((h * w * n_in, n_out), dtype=W.dtype)
        db.fill(0.0)
        d_wide = None if dx is None else np.zeros_like(wide)
        for part in _blocks(batch, rows * columns * total.shape[0]):
            d = dz[part].reshape(-1, n_out)
            total += product(_unfold(views[part]).T, d)
            db += column_sums(d)
            if d_wide is not None:
                for i, j, place in window_pixels((h, w), strides, (rows, columns)):
                    d_wide[part][place] += product(d, W[i, j].T).reshape(-1, rows, columns, n_in)
        np.copyto(dW, total.reshape(W.shape))
        if dx is not None:
            np.copyto(dx, crop_border(d_wide, padding))

    def displacements(self, bits: Array, rows: Array, columns: Array, strength: float, moves: Array) -> None:
        """Call the reference. Its larger product decides the number of BLAS threads for both products."""
        with blas_threads(moves.size * max(moves.shape[2:])):
            super().displacements(bits, rows, columns, strength, moves)

    def warp_images(self, x: Array, matrix: Array, moves: Array, y: Array) -> None:
        """Call the reference for a few images at a time, which stay in the cache: a third of the time."""
        for start in range(0, x.shape[0], IMAGES_PER_BLOCK):
            block = slice(start, start + IMAGES_PER_BLOCK)
            super().warp_images(x[block], matrix[block], moves[block], y[block])
