"""torch's convolution, pooling and normalisation: the calls that torch.nn and autograd make underneath.

Our images are (B, H, W, C); seen as (B, C, H, W) they are in the memory order that torch names channels_last,
and nothing is copied on the way in.
"""

from __future__ import annotations

from typing import Any

import torch

from backends.reference.windows import Padding, Pair

Array = Any  # torch.Tensor
aten = torch.ops.aten


def _channels_first(images: Array) -> Array:
    return images.permute(0, 3, 1, 2)


def _channels_last(images: Array) -> Array:
    return images.permute(0, 2, 3, 1)


def _bordered(x: Array, padding: Padding) -> tuple[Array, list[int]]:
    """(x as (B, C, H, W), the padding left to the call): a border that is wider on one side is added here."""
    (top, bottom), (left, right) = padding
    if (top, left) == (bottom, right):
        return _channels_first(x), [top, left]
    return torch.nn.functional.pad(_channels_first(x), (left, right, top, bottom)), [0, 0]


def conv2d(xp: Any, x: Array, W: Array, b: Array, strides: Pair, padding: Padding, z: Array) -> None:
    images, border = _bordered(x, padding)
    z.copy_(_channels_last(torch.conv2d(images, W.permute(3, 2, 0, 1), b, strides, border)))


def conv2d_backward(
    xp: Any,
    dz: Array,
    x: Array,
    W: Array,
    strides: Pair,
    padding: Padding,
    dW: Array,
    db: Array,
    dx: Array | None,
) -> None:
    images, border = _bordered(x, padding)
    d_images, dW_, db_ = aten.convolution_backward(
        _channels_first(dz),
        images,
        W.permute(3, 2, 0, 1),
        list(db.shape),
        strides,
        border,
        [1, 1],
        False,
        [0, 0],
        1,
        [dx is not None, True, True],
    )
    dW.copy_(dW_.permute(2, 3, 1, 0))
    db.copy_(db_)
    if dx is not None:
        (top, _), (left, _) = padding if border == [0, 0] else ((0, 0), (0, 0))
        height, width = dx.shape[1:3]
        dx.copy_(_channels_last(d_images[:, :, top : top + height, left : left + width]))


def max_pool2d(
    xp: Any, x: Array, size: Pair, strides: Pair, padding: Padding, y: Array, index: Array
) -> None:
    (top, bottom), (left, right) = padding
    images = _channels_first(x)
    if top or bottom or left or right:  # torch's own border is the same on both sides and at most half
        images = torch.nn.functional.pad(images, (left, right, top, bottom), value=-float("inf"))
    largest, place = torch.nn.functional.max_pool2d_with_indices(images, size, strides)
    y.copy_(_channels_last(largest))
    index.copy_(_channels_last(place))
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
    xp: Any,
    x: Array,
    gamma: Array,
    beta: Array,
    running_mean: Array,
    running_variance: Array,
    momentum: float,
    epsilon: float,
    mean: Array,
    inverse: Array,
    y: Array,
) -> None:
    aten.native_batch_norm.out(
        x.contiguous(),  # of other strides it adds to what mean holds beforehand
        gamma,
        beta,
        running_mean,
        running_variance,
        True,
        momentum,
        epsilon,
        out=y,
        save_mean=mean,
        save_invstd=inverse,
    )


def batch_norm_backward(
    xp: Any,
    dy: Array,
    x: Array,
    mean: Array,
    inverse: Array,
    gamma: Array,
    dgamma: Array,
    dbeta: Array,
    dx: Array | None,
) -> None:
    needed = [dx is not None, True, True]
    # Epsilon is in inverse already.
    dx_, dgamma_, dbeta_ = aten.native_batch_norm_backward(
        dy, x, gamma, None, None, mean, inverse, True, 0.0, needed
    )
    dgamma.copy_(dgamma_)
    dbeta.copy_(dbeta_)
    if dx is not None:
        dx.copy_(dx_)


def layer_norm(
    xp: Any, x: Array, gamma: Array, beta: Array, epsilon: float, mean: Array, inverse: Array, y: Array
) -> None:
    y_, mean_, inverse_ = torch.native_layer_norm(x, [x.shape[1]], gamma, beta, epsilon)
    y.copy_(y_)
    mean.copy_(mean_[:, 0])
    inverse.copy_(inverse_[:, 0])


def layer_norm_backward(
    xp: Any,
    dy: Array,
    x: Array,
    mean: Array,
    inverse: Array,
    gamma: Array,
    dgamma: Array,
    dbeta: Array,
    dx: Array | None,
) -> None:
    needed = [dx is not None, True, True]
    mean, inverse = (a.contiguous()[:, None] for a in (mean, inverse))  # other strides are not looked at
    dx_, dgamma_, dbeta_ = aten.native_layer_norm_backward(
        dy, x, [x.shape[1]], mean, inverse, gamma, gamma, needed
    )
    dgamma.copy_(dgamma_)
    dbeta.copy_(dbeta_)
    if dx is not None:
        dx.copy_(dx_)
