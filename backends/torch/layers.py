"""torch's convolution, pooling and normalisation: the calls that torch.nn and autograd make underneath.

Our images are (B, H, W, C); seen as (B, C, H, W) they are in the memory order that torch names channels_last,
and nothing is copied on the way in.
"""

from typing import Any

import torch

from backends.reference.signatures import Arrays, Numbers
from backends.reference.windows import Padding, Pair, crop_border, pad

Array = Any  # torch.Tensor
aten = torch.ops.aten
NO_PADDING: Padding = ((0, 0), (0, 0))


def needed_pixels(
    size: Pair, strides: Pair, dilation: Pair, windows: Pair
) -> tuple[tuple[slice, slice], Pair]:
    """Return (the rows and columns of a padded image to convolve, the strides to convolve them with).

    Where a stride can be avoided it becomes 1: filters of one pixel read every s-th pixel, and a single
    window reads the first ones. On images in the order channels_last, oneDNN 3.12 and 3.13 have two defects
    with such strides:

    - The weight gradient of strided 1x1 filters writes outside its scratchpad if there are fewer channels
      than a vector has lanes (8 with AVX2, 16 with AVX-512). The process crashes, hangs, or computes with
      overwritten numbers: uxlfoundation/oneDNN#6035.
    - With AVX-512, the forward pass over images of one channel reads uninitialised memory if the strides are
      (1, t), t > 1, and there is one column of windows.

    Args:
        size, windows: (rows, columns) of the filters, and how many windows there are below and beside each
            other.
    """
    slices = []
    left = []
    for k, s, d, count in zip(size, strides, dilation, windows, strict=True):
        if s == 1 or (k > 1 and count > 1):
            slices.append(slice(None))
            left.append(s)
        else:
            slices.append(slice(None, None, s) if k == 1 else slice(d * (k - 1) + 1))
            left.append(1)
    return (slices[0], slices[1]), (left[0], left[1])


def _bordered(x: Array, W: Array, padding: Padding, dilation: Pair) -> tuple[Array, list[int]]:
    """Return (x as (B, C, H, W), the padding left to torch's call).

    A border that is wider on one side is added here. So is one as wide as the filters: oneDNN crashes where
    whole windows lie in its own border (uxlfoundation/oneDNN#5942, in torch 2.13).
    """
    (top, bottom), (left, right) = padding
    height, width = (d * (k - 1) + 1 for k, d in zip(W.shape[:2], dilation, strict=True))
    if (top, left) == (bottom, right) and top < height and left < width:
        return x.movedim(3, 1), [top, left]
    return torch.nn.functional.pad(x.movedim(3, 1), (left, right, top, bottom)), [0, 0]


def conv2d(xp: Any, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, z: Array) -> None:
    grouped_conv2d(xp, x, W, b, strides, padding, (1, 1), z)


def conv2d_backward(
    xp: Any, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, gradients: Arrays
) -> None:
    grouped_conv2d_backward(xp, dz, x, W, strides, padding, (1, 1), gradients)


def grouped_conv2d(
    xp: Any, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
) -> None:
    needed, remaining = needed_pixels(W.shape[:2], strides, dilation, z.shape[1:3])
    if remaining != tuple(strides):
        x = pad(xp, x, padding)[:, *needed].contiguous()
        padding = NO_PADDING
    images, border = _bordered(x, W, padding, dilation)
    filters = W.permute(3, 2, 0, 1)
    groups = x.shape[3] // W.shape[2]
    z.copy_(torch.conv2d(images, filters, b, remaining, border, dilation, groups).movedim(1, 3))


def grouped_conv2d_backward(
    xp: Any, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair, gradients: Arrays
) -> None:
    dW, db, dx = gradients
    needed, remaining = needed_pixels(W.shape[:2], strides, dilation, dz.shape[1:3])
    if remaining != tuple(strides):
        wide = pad(xp, x, padding)
        pixels = wide[:, *needed].contiguous()
        d_pixels = None if dx is None else torch.empty_like(pixels)
        grouped_conv2d_backward(xp, dz, pixels, W, remaining, NO_PADDING, dilation, (dW, db, d_pixels))
        if dx is not None:
            d_wide = torch.zeros_like(wide)
            d_wide[:, *needed] = d_pixels
            dx.copy_(crop_border(d_wide, padding))
        return
    images, border = _bordered(x, W, padding, dilation)
    # Copied: of one filter the view is channels_last to torch, so would dW be, and its plain CPU code
    # (float64, batches of 1) refuses to write such a dW.
    images_ = dz.movedim(3, 1), images, W.permute(3, 2, 0, 1).contiguous()
    geometry = list(db.shape), strides, border, dilation, False, [0, 0], x.shape[3] // W.shape[2]
    d_images, dW_, db_ = aten.convolution_backward(*images_, *geometry, _needed(gradients))
    dW.copy_(dW_.permute(2, 3, 1, 0))
    db.copy_(db_)
    if dx is not None:
        (top, _), (left, _) = padding if border == [0, 0] else NO_PADDING
        height, width = dx.shape[1:3]
        dx.copy_(d_images[:, :, top : top + height, left : left + width].movedim(1, 3))


def max_pool2d(
    xp: Any, x: Array, size: Pair, strides: Pair, padding: Padding, y: Array, index: Array
) -> None:
    (top, bottom), (left, right) = padding
    images = x.movedim(3, 1)
    if any((top, bottom, left, right)):  # torch's own border is the same on both sides and at most half
        images = torch.nn.functional.pad(images, (left, right, top, bottom), value=-float("inf"))
    largest, place = torch.nn.functional.max_pool2d_with_indices(images, size, strides)
    y.copy_(largest.movedim(1, 3))
    index.copy_(place.movedim(1, 3))
    if images.shape[2:] != x.shape[1:3]:
        wide = images.shape[3]
        # A window of nothing but -inf names its first pixel, which may be in the border.
        row = torch.div(index, wide, rounding_mode="floor").sub_(top).clamp_min_(0)
        column = index.remainder(wide).sub_(left).clamp_min_(0)
        torch.add(column, row, alpha=x.shape[2], out=index)


def max_pool2d_backward(
    xp: Any, dy: Array, index: Array, size: Pair, strides: Pair, padding: Padding, dx: Array
) -> None:
    batch, height, width, channels = dx.shape
    dx.zero_()
    flat = dx.view(batch, height * width, channels)
    rows = (batch, dy.shape[1] * dy.shape[2], channels)
    flat.scatter_add_(1, index.reshape(rows), dy.reshape(rows))


def batch_norm(
    xp: Any, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, stats: Arrays, y: Array
) -> None:
    mean, inverse = stats
    x = x.contiguous()  # of other strides the call adds to what mean holds beforehand
    made = {"out": y, "save_mean": mean, "save_invstd": inverse}
    aten.native_batch_norm.out(x, gamma, beta, *running, True, *settings, **made)


def batch_norm_backward(xp: Any, dy: Array, x: Array, stats: Arrays, gamma: Array, gradients: Arrays) -> None:
    # Epsilon is in inverse already.
    made = aten.native_batch_norm_backward(dy, x, gamma, None, None, *stats, True, 0.0, _needed(gradients))
    for there, here in zip((made[1], made[2], made[0]), gradients, strict=True):
        if here is not None:
            here.copy_(there)


def _needed(gradients: Arrays) -> list[bool]:
    """Which of (dx, dgamma, dbeta) torch is to compute for (dgamma, dbeta, dx)."""
    return [gradients[2] is not None, True, True]
