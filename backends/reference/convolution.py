"""Convolution of images (cross-correlation, as in every library), channels last.

Symbols: x (B, H, W, n_in), W (h, w, n_in, n_out), b (n_out,), z (B, rows, columns, n_out); strides, padding
and ``windows`` as in ``backends.reference.windows``. Each output is the product of a window with W, computed
here as a sum over the window's pixels.
"""

from collections.abc import Iterator
from typing import Any

from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Arrays
from backends.reference.sums import sum_rows
from backends.reference.windows import Padding, Pair, crop_border, pad, window_pixels


def dilate_filters(xp: Any, W: Array, dilation: Pair) -> Array:
    """Return W with dilation - 1 zeros between its pixels."""
    (h, w, *channels), (d, e) = W.shape, dilation
    if dilation == (1, 1):
        return W
    wide = xp.zeros((d * (h - 1) + 1, e * (w - 1) + 1, *channels), dtype=W.dtype, device=W.device)
    wide[::d, ::e, ...] = W
    return wide


def channel_groups(x: Array, W: Array) -> Iterator[tuple[slice, slice]]:
    """Yield (slice of x's channels, slice of z's channels) for each group; W has n_in / groups channels."""
    n_in = W.shape[2]
    count = x.shape[3] // n_in
    n_out = W.shape[3] // count
    for g in range(count):
        yield slice(g * n_in, (g + 1) * n_in), slice(g * n_out, (g + 1) * n_out)


class ConvolutionKernels(KernelBase):
    """Convolution, also with groups and dilation, and its gradients."""

    @kernel(writes=("z",))
    def conv2d(self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, z: Array) -> None:
        """``z_pq = b + sum_ij x_(p s + i - top)(q t + j - left) W_ij``, pixels outside the image being 0.

        Reads x (B, H, W, n_in), W (h, w, n_in, n_out), b (n_out,); writes z (B, rows, columns, n_out).
        """
        xp = self.xp
        wide = pad(xp, x, padding)
        h, w, n_in, n_out = W.shape
        batch, rows, columns, _ = z.shape
        total = xp.zeros((batch * rows * columns, n_out), dtype=z.dtype, device=z.device)
        for i, j, place in window_pixels((h, w), strides, (rows, columns)):
            total = total + xp.matmul(xp.reshape(wide[place], (batch * rows * columns, n_in)), W[i, j, ...])
        z[...] = xp.reshape(total, z.shape) + b

    @kernel(writes=("gradients",))
    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, gradients: Arrays
    ) -> None:
        """``dW_ij = sum_pq x^T dz``, ``db = sum_pq dz``, ``dx_(p s + i - top)(...) = sum dz_pq W_ij^T``.

        Reads dz (B, rows, columns, n_out), x, W; writes the gradients: dW, db of the shapes of W, b, and
        dx (B, H, W, n_in) unless dx is None (no layer before is trained).
        """
        xp = self.xp
        dW, db, dx = gradients
        wide = pad(xp, x, padding)
        h, w, n_in, n_out = W.shape
        batch, rows, columns, _ = dz.shape
        flat = xp.reshape(dz, (batch * rows * columns, n_out))
        d_wide = None if dx is None else xp.zeros_like(wide)
        for i, j, place in window_pixels((h, w), strides, (rows, columns)):
            pixel = xp.reshape(wide[place], (batch * rows * columns, n_in))
            dW[i, j, ...] = xp.matmul(pixel.T, flat)
            if d_wide is not None:
                back = xp.matmul(flat, W[i, j, ...].T)
                d_wide[place] = d_wide[place] + xp.reshape(back, (batch, rows, columns, n_in))
        db[...] = sum_rows(xp, flat)
        if dx is not None:
            dx[...] = crop_border(d_wide, padding)

    @kernel(writes=("z",))
    def grouped_conv2d(
        self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
    ) -> None:
        """``conv2d`` with groups and dilation. Each group of channels has its own filters; pixel (i, j) of
        a window is at (d i, e j). Calls ``self.conv2d`` for each group.

        Reads x (B, H, W, n_in), W (h, w, n_in / groups, n_out), b (n_out,); writes z (B, rows, columns,
        n_out).
        """
        xp = self.xp
        wide = dilate_filters(xp, W, dilation)
        for inputs, outputs in channel_groups(x, W):
            part = xp.zeros_like(z[..., outputs])
            self.conv2d(x[..., inputs], wide[..., outputs], b[outputs], strides, padding, part)
            z[..., outputs] = part

    @kernel(writes=("gradients",))
    def grouped_conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair,
        gradients: Arrays,
    ) -> None:  # fmt: skip
        """``conv2d_backward`` with groups and dilation. Calls ``self.conv2d_backward`` for each group.

        Reads dz (B, rows, columns, n_out), x, W; writes the gradients: dW, db of the shapes of W, b, and
        dx (B, H, W, n_in) unless dx is None.
        """
        xp = self.xp
        dW, db, dx = gradients
        d, e = dilation
        wide = dilate_filters(xp, W, dilation)
        for inputs, outputs in channel_groups(x, W):
            d_wide = xp.zeros_like(wide[..., outputs])
            d_bias = xp.zeros_like(db[outputs])
            d_part = None if dx is None else xp.zeros_like(dx[..., inputs])
            part = d_wide, d_bias, d_part
            self.conv2d_backward(dz[..., outputs], x[..., inputs], wide[..., outputs], strides, padding, part)
            dW[..., outputs], db[outputs] = d_wide[::d, ::e, ...], d_bias
            if dx is not None:
                dx[..., inputs] = d_part
