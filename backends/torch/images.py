"""torch's kernels of convolution, pooling and normalization: the calls that torch.nn and autograd make.

Images (B, H, W, C) are passed as views (B, C, H, W). That is torch's memory format channels_last, so nothing
is copied.
"""

from typing import Any

import torch

from backends.reference import Kernels
from backends.reference.signatures import Array, Arrays, Numbers
from backends.reference.windows import Padding, Pair, crop_border, pad

aten = torch.ops.aten
NO_PADDING: Padding = ((0, 0), (0, 0))


def _first(x: Array) -> Array:
    """Return a view of images (B, H, W, C) as (B, C, H, W)."""
    return x.movedim(3, 1)


def _prepare(
    xp: Any, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair, windows: Pair
) -> tuple[Array, list[slice], list[int], list[int]]:
    """Return (x or padded x, the needed rows and columns of it, strides, padding) for torch's call.

    The stride becomes 1 where possible: filters of one pixel read every s-th pixel, and a single window reads
    the first ones. This avoids two defects of oneDNN 3.12 and 3.13 on channels_last images with such
    strides:

    - The weight gradient of strided 1x1 filters writes outside its scratchpad if there are fewer channels
      than a vector has lanes (8 with AVX2, 16 with AVX-512). The process crashes, hangs, or computes with
      overwritten numbers: uxlfoundation/oneDNN#6035.
    - With AVX-512, the forward pass over images of one channel reads uninitialised memory if the strides are
      (1, t), t > 1, and there is one column of windows.

    An asymmetric border is added here, since torch has none. So is a border as wide as the filters: oneDNN
    crashes if entire windows lie in its own border (uxlfoundation/oneDNN#5942, in torch 2.13).
    """
    needed = []
    remaining = []
    suits_torch = True
    sizes = zip(W.shape[:2], strides, dilation, windows, padding, strict=True)
    for k, s, d, count, (before, after) in sizes:
        reach = d * (k - 1) + 1
        if k > 1 and count > 1:
            needed.append(slice(None))
            remaining.append(s)
        else:
            needed.append(slice(None, None, s) if k == 1 else slice(reach))
            remaining.append(1)
        suits_torch = suits_torch and before == after < reach and remaining[-1] == s
    if suits_torch:
        return x, needed, remaining, [before for before, _ in padding]
    return pad(xp, x, padding), needed, remaining, [0, 0]


class TorchImages(Kernels):
    """Convolution, pooling and normalization."""

    def conv2d(
        self, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, dilation: Pair, z: Array
    ) -> None:
        geometry = strides, padding, dilation, z.shape[1:3]
        wide, needed, remaining, border = _prepare(self.xp, x, W, *geometry)
        images = _first(wide[:, *needed].contiguous())
        filters = W.permute(3, 2, 0, 1)
        groups = x.shape[3] // W.shape[2]
        z.copy_(torch.conv2d(images, filters, b, remaining, border, dilation, groups).movedim(1, 3))

    def conv2d_backward(
        self, dz: Array, x: Array, W: Array, strides: Pair, padding: Padding, dilation: Pair,
        gradients: Arrays,
    ) -> None:  # fmt: skip
        dW, db, dx = gradients
        geometry = strides, padding, dilation, dz.shape[1:3]
        wide, needed, remaining, border = _prepare(self.xp, x, W, *geometry)
        images = _first(wide[:, *needed].contiguous())
        # contiguous(): torch treats the view of a single filter as channels_last and would return dW in that
        # format, which its plain CPU code (float64, batches of 1) cannot write.
        filters = W.permute(3, 2, 0, 1).contiguous()
        options = None, remaining, border, dilation, False, [0, 0], x.shape[3] // W.shape[2]
        outputs = [dx is not None, True, False]
        d_images, dW_, _ = aten.convolution_backward(_first(dz), images, filters, *options, outputs)
        dW.copy_(dW_.permute(2, 3, 1, 0))
        # oneDNN takes up to 1.8 times as long for dW if it also computes db, so db is summed here. torch
        # divides the inner sum, over the pixels of each example, among its threads.
        torch.sum(torch.sum(dz, (1, 2)), 0, out=db)
        if dx is not None:
            d_wide = d_images.movedim(1, 3)
            if d_wide.shape != wide.shape:
                d_wide = torch.zeros_like(wide)
                d_wide[:, *needed] = d_images.movedim(1, 3)
            dx.copy_(d_wide if wide is x else crop_border(d_wide, padding))

    def max_pool2d(
        self, x: Array, size: Pair, strides: Pair, padding: Padding, y: Array, index: Array
    ) -> None:
        images = _first(pad(self.xp, x, padding, -float("inf")))
        outputs = {"out": _first(y), "indices": _first(index)}
        aten.max_pool2d_with_indices.out(images, size, strides, **outputs)
        if padding != NO_PADDING:
            (top, _), (left, _) = padding
            wide = images.shape[3]
            # The maximum of a window of only -inf is its first pixel, which may be in the border.
            row = (index // wide - top).clamp_min(0)
            column = (index % wide - left).clamp_min(0)
            index.copy_(row * x.shape[2] + column)

    def max_pool2d_backward(
        self, dy: Array, index: Array, size: Pair, strides: Pair, padding: Padding, dx: Array
    ) -> None:
        """Call torch's own kernel: half the time of ``scatter_add_``. It has no asymmetric border."""
        if padding == NO_PADDING:
            d_images = _first(dx)  # passed as the images, too: the call only reads their shape
            geometry = size, strides, (0, 0), (1, 1), False
            aten.max_pool2d_with_indices_backward.grad_input(
                _first(dy), d_images, *geometry, _first(index), grad_input=d_images
            )
            return
        batch, height, width, channels = dx.shape
        dx.zero_()
        flat = dx.view(batch, height * width, channels)
        rows = (batch, dy.shape[1] * dy.shape[2], channels)
        flat.scatter_add_(1, index.reshape(rows), dy.reshape(rows))

    def batch_norm(
        self, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, stats: Arrays, y: Array
    ) -> None:
        mean, inverse = stats
        x = x.contiguous()  # with other strides torch adds to the old values of mean
        outputs = {"out": y, "save_mean": mean, "save_invstd": inverse}
        aten.native_batch_norm.out(x, gamma, beta, *running, True, *settings, **outputs)

    def batch_norm_backward(
        self, dy: Array, x: Array, stats: Arrays, gamma: Array, gradients: Arrays
    ) -> None:
        # epsilon is 0.0 here: inverse includes it.
        found = aten.native_batch_norm_backward(
            dy, x, gamma, None, None, *stats, True, 0.0, [gradients[2] is not None, True, True]
        )
        for source, target in zip((found[1], found[2], found[0]), gradients, strict=True):
            if target is not None:
                target.copy_(source)
