"""Convolution of images (cross-correlation, as in every library), channels last.

Symbols: x (B, H, W, n_in), W (h, w, n_in, n_out), b (n_out,), z (B, rows, columns, n_out); strides, padding
and ``windows`` as in ``backends.reference.windows``. Without padding each output is one product of a window
with W; the products are summed pixel by pixel here.
"""

from typing import Any

from backends.reference.declaration import kernel
from backends.reference.signatures import Array, Arrays
from backends.reference.windows import Padding, Pair, pad, pixels, without_border


@kernel(writes=("z",))
def conv2d(xp: Any, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, z: Array) -> None:
    """``z_pq = b + sum_ij x_(p s + i - top)(q t + j - left) W_ij``, pixels outside the image being 0.

    Reads x (B, H, W, n_in), W (h, w, n_in, n_out), b (n_out,); writes z (B, rows, columns, n_out).
    """
    wide = pad(xp, x, padding)
    h, w, n_in, n_out = W.shape
    batch, rows, columns, _ = z.shape
    total = xp.zeros((batch * rows * columns, n_out), dtype=z.dtype, device=z.device)
    for i, j, here in pixels((h, w), strides, (rows, columns)):
        total = total + xp.matmul(xp.reshape(wide[here], (batch * rows * columns, n_in)), W[i, j, ...])
    z[...] = xp.reshape(total, z.shape) + b


@kernel(writes=("gradients",))
def conv2d_backward(
    xp: Any, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, gradients: Arrays
) -> None:
    """``dW_ij = sum_pq x^T dz``, ``db = sum_pq dz``, ``dx_(p s + i - top)(...) = sum dz_pq W_ij^T``.

    Reads dz (B, rows, columns, n_out), x, W; writes the gradients: dW, db of the shapes of W, b, and
    dx (B, H, W, n_in) unless that is None (nothing before is trained).
    """
    dW, db, dx = gradients
    wide = pad(xp, x, padding)
    h, w, n_in, n_out = W.shape
    batch, rows, columns, _ = dz.shape
    flat = xp.reshape(dz, (batch * rows * columns, n_out))
    d_wide = None if dx is None else xp.zeros_like(wide)
    for i, j, here in pixels((h, w), strides, (rows, columns)):
        pixel = xp.reshape(wide[here], (batch * rows * columns, n_in))
        dW[i, j, ...] = xp.matmul(pixel.T, flat)
        if d_wide is not None:
            back = xp.matmul(flat, W[i, j, ...].T)
            d_wide[here] = d_wide[here] + xp.reshape(back, (batch, rows, columns, n_in))
    db[...] = xp.sum(flat, axis=0)
    if dx is not None:
        dx[...] = without_border(d_wide, padding)
