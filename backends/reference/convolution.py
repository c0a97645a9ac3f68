"""Convolution of images (cross-correlation, as in every library), channels last.

Symbols: x (B, H, W, n_in), W (h, w, n_in, n_out), b (n_out,), z (B, rows, columns, n_out); strides, padding
and ``windows`` as in ``backends.reference.windows``. Without padding each output is one product of a window
with W; the products are summed pixel by pixel here.
"""

from collections.abc import Iterator
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


def spread(xp: Any, W: Array, dilation: Pair) -> Array:
    """W with dilation - 1 zeros between its pixels: a window with gaps."""
    (h, w, *channels), (d, e) = W.shape, dilation
    if dilation == (1, 1):
        return W
    wide = xp.zeros((d * (h - 1) + 1, e * (w - 1) + 1, *channels), dtype=W.dtype, device=W.device)
    wide[::d, ::e, ...] = W
    return wide


def groups(x: Array, W: Array) -> Iterator[tuple[slice, slice]]:
    """For each group of channels which of x and which of z: n_in / groups is the third length of W."""
    inputs = W.shape[2]
    count = x.shape[3] // W.shape[2]
    outputs = W.shape[3] // count
    for g in range(count):
        yield slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs)


@kernel(writes=("z",))
def grouped_conv2d(
    xp: Any, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
) -> None:
    """``conv2d`` for groups of channels, each with filters of its own, and with gaps within a window: its
    pixel (i, j) lies at (d i, e j).

    Reads x (B, H, W, n_in), W (h, w, n_in / groups, n_out), b (n_out,); writes z (B, rows, columns, n_out).
    """
    wide = spread(xp, W, dilation)
    for of_x, of_z in groups(x, W):
        part = xp.zeros_like(z[..., of_z])
        conv2d(xp, x[..., of_x], wide[..., of_z], b[of_z], strides, padding, part)
        z[..., of_z] = part


@kernel(writes=("gradients",))
def grouped_conv2d_backward(
    xp: Any, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair, gradients: Arrays
) -> None:
    """``conv2d_backward`` for such. Reads dz (B, rows, columns, n_out), x, W; writes the gradients: dW, db of
    the shapes of W, b, and dx (B, H, W, n_in) unless that is None.
    """
    dW, db, dx = gradients
    d, e = dilation
    wide = spread(xp, W, dilation)
    for of_x, of_z in groups(x, W):
        d_wide = xp.zeros_like(wide[..., of_z])
        d_bias = xp.zeros_like(db[of_z])
        d_part = None if dx is None else xp.zeros_like(dx[..., of_x])
        made = d_wide, d_bias, d_part
        conv2d_backward(xp, dz[..., of_z], x[..., of_x], wide[..., of_z], strides, padding, made)
        dW[..., of_z], db[of_z] = d_wide[::d, ::e, ...], d_bias
        if dx is not None:
            dx[..., of_x] = d_part
