"""NumPy's kernels of images: convolution, its gradient, and augmentation.

Windows are unfolded into the rows of a matrix (im2col), a few images at a time.
"""

import numpy as np

from backends.numpy.products import blas_threads, column_sums, product
from backends.reference import Kernels
from backends.reference.arithmetic import blocks
from backends.reference.convolution import channel_groups
from backends.reference.signatures import Array, Arrays
from backends.reference.windows import Padding, Pair, crop_border, pad, window_pixels

IMAGES_PER_BLOCK = 32  # images that ``warp_images`` computes at a time
MAX_UNFOLDED_NUMBERS = 1 << 18  # of a block: it and its product then stay in the cache


def _windows(wide: Array, size: Pair, strides: Pair, dilation: Pair) -> Array:
    """Return all windows of padded images as a view (B, rows, columns, h, w, C)."""
    (s, t), (d, e) = strides, dilation
    reach = d * (size[0] - 1) + 1, e * (size[1] - 1) + 1
    views = np.lib.stride_tricks.sliding_window_view(wide, reach, axis=(1, 2))
    return views[:, ::s, ::t, :, ::d, ::e].transpose(0, 1, 2, 4, 5, 3)


def _unfold(windows: Array) -> Array:
    """Reshape windows (n, rows, columns, h, w, C) into a matrix (n rows columns, h w C)."""
    h, w, channels = windows.shape[3:]
    if channels == 1:  # copy pixel by pixel: these runs of memory are longer
        planes = windows[..., 0].transpose(3, 4, 0, 1, 2).reshape(h * w, -1).T
        return planes
    return windows.reshape(-1, h * w * channels)


class NumpyImages(Kernels):
    """Convolution and augmentation."""

    def conv2d(
        self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
    ) -> None:
        h, w, n_in, _ = W.shape
        batch, rows, columns, _ = z.shape
        wide = pad(np, x, padding)
        for inputs, outputs in channel_groups(x, W):
            views = _windows(wide[..., inputs], (h, w), strides, dilation)
            flat = W[..., outputs].reshape(h * w * n_in, -1)
            for part in blocks(batch, MAX_UNFOLDED_NUMBERS // (rows * columns * flat.shape[0])):
                out = z[part, :, :, outputs]
                np.add(product(_unfold(views[part]), flat).reshape(out.shape), b[outputs], out=out)

    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair,
        gradients: Arrays,
    ) -> None:  # fmt: skip
        dW, db, dx = gradients
        h, w, n_in, _ = W.shape
        batch, rows, columns, _ = dz.shape
        wide = pad(np, x, padding)
        d_wide = None if dx is None else np.zeros_like(wide)
        dW.fill(0.0)
        db.fill(0.0)
        for inputs, outputs in channel_groups(x, W):
            views = _windows(wide[..., inputs], (h, w), strides, dilation)
            n_out = outputs.stop - outputs.start
            for part in blocks(batch, MAX_UNFOLDED_NUMBERS // (rows * columns * h * w * n_in)):
                d = dz[part, :, :, outputs].reshape(-1, n_out)
                dW[..., outputs] += product(_unfold(views[part]).T, d).reshape(h, w, n_in, n_out)
                db[outputs] += column_sums(d)
                if d_wide is not None:
                    for i, j, index in window_pixels((h, w), strides, (rows, columns), dilation, inputs):
                        dx_ij = product(d, W[i, j, :, outputs].T)
                        d_wide[part][index] += dx_ij.reshape(-1, rows, columns, n_in)
        if dx is not None:
            np.copyto(dx, crop_border(d_wide, padding))

    def displacements(self, bits: Array, rows: Array, columns: Array, strength: float, moves: Array) -> None:
        """Call the reference. Its larger product decides the number of BLAS threads for both products."""
        with blas_threads(moves.size * max(moves.shape[2:])):
            super().displacements(bits, rows, columns, strength, moves)

    def warp_images(self, x: Array, matrix: Array, moves: Array, y: Array) -> None:
        """Call the reference for a few images at a time, which stay in the cache: a third of the time."""
        for block in blocks(x.shape[0], IMAGES_PER_BLOCK):
            super().warp_images(x[block], matrix[block], moves[block], y[block])
