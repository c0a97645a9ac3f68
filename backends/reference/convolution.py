"""Convolution of images (cross-correlation, as in every library), channels last.

Symbols: x (B, H, W, n_in), W (h, w, n_in / groups, n_out), b (n_out,), z (B, rows, columns, n_out); strides,
padding, dilation and ``windows`` as in ``backends.reference.windows``. Each output is the product of a window
with W, computed here as a sum over the window's pixels.
"""

from collections.abc import Iterator

from backends.reference.arithmetic import sum_rows
from backends.reference.declaration import KernelBase, kernel
from backends.reference.signatures import Array, Arrays
from backends.reference.windows import Padding, Pair, crop_border, pad, window_pixels


def channel_groups(x: Array, W: Array) -> Iterator[tuple[slice, slice]]:
    """Yield (slice of x's channels, slice of z's channels) for each group; W has n_in / groups channels."""
    n_in = W.shape[2]
    count = x.shape[3] // n_in
    n_out = W.shape[3] // count
    for g in range(count):
        yield slice(g * n_in, (g + 1) * n_in), slice(g * n_out, (g + 1) * n_out)


class ConvolutionKernels(KernelBase):
    """Convolution and its gradients."""

    @kernel(writes=("z",))
    def conv2d(
        self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
    ) -> None:
        """``z_pq = b + sum_ij x_(p s + d i - top)(q t + e j - left) W_ij``, pixels outside the image being 0.

        Each group of channels has its own filters.

        Reads x (B, H, W, n_in), W (h, w, n_in / groups, n_out), b (n_out,); writes z (B, rows, columns,
        n_out).
        """
        xp = self.xp
        wide = pad(xp, x, padding)
        h, w, n_in, _ = W.shape
        for inputs, outputs in channel_groups(x, W):
            total = 0.0
            for i, j, index in window_pixels((h, w), strides, z.shape[1:3], dilation, inputs):
                pixel = xp.reshape(wide[index], (-1, n_in))
                total = total + xp.matmul(pixel, W[i, j, :, outputs])
            part = z[..., outputs]
            z[..., outputs] = xp.reshape(total, part.shape) + b[outputs]

    @kernel(writes=("gradients",))
    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair,
        gradients: Arrays,
    ) -> None:  # fmt: skip
        """``dW_ij = sum_pq x^T dz``, ``db = sum_pq dz``, ``dx_(p s + d i - top)(...) = sum dz_pq W_ij^T``.

        Reads dz (B, rows, columns, n_out), x, W; writes the gradients: dW, db of the shapes of W, b, and
        dx (B, H, W, n_in) unless dx is None (no layer before is trained).
        """
        xp = self.xp
        dW, db, dx = gradients
        wide = pad(xp, x, padding)
        h, w, n_in, _ = W.shape
        d_wide = None if dx is None else xp.zeros_like(wide)
        for inputs, outputs in channel_groups(x, W):
            flat = xp.reshape(dz[..., outputs], (-1, outputs.stop - outputs.start))
            for i, j, index in window_pixels((h, w), strides, dz.shape[1:3], dilation, inputs):
                pixels = wide[index]
                dW[i, j, :, outputs] = xp.matmul(xp.reshape(pixels, (-1, n_in)).T, flat)
                if d_wide is not None:
                    back = xp.matmul(flat, W[i, j, :, outputs].T)
                    d_wide[index] = d_wide[index] + xp.reshape(back, pixels.shape)
            db[outputs] = sum_rows(xp, flat)
        if dx is not None:
            dx[...] = crop_border(d_wide, padding)
