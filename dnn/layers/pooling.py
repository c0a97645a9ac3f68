"""Pooling: the maximum or mean of each window, or of the whole image, channel by channel."""

from dataclasses import KW_ONLY
from math import prod
from typing import Annotated, ClassVar

import numpy as np

from backends import Array, Backend
from backends.reference.arithmetic import quotient
from backends.reference.windows import Padding, Pair
from dnn.layers.layer import Arrays, Layer, Shape
from dnn.layers.windows import EXPECTED_IMAGES, AxisLengths, SequenceBorder, Windows
from dnn.settings.base import SampleSettings
from dnn.settings.checks import Count, Flag, positive_or_none

Stride = Annotated[int | None, positive_or_none]


class Pooling(Windows):
    """Base of MaxPooling2D and AveragePooling2D.

    Args:
        pool_size: (h, w) of a window, or one number for both.
        strides: distance between windows; None: pool_size, so that windows do not overlap.
        padding: "valid", "same", or the width of a border in pixels (``Windows``). Pixels of the border do
            not count.
        ceil_mode: whether pixels that do not fill a window at the lower or right edge get one, as in torch.
    """

    pool_size: AxisLengths = 2
    _: KW_ONLY
    ceil_mode: Flag = False

    size_name = "pool_size"
    buffers = "y", "dx"

    @property
    def _geometry(self) -> tuple[Pair, Pair, Padding]:
        return self.size, self.stride_pair, self.borders


class MaxPooling2D(Pooling):
    """The largest pixel of each window; arguments as in ``Pooling``.

    dx is dy at the maximum, summed over windows that share it, and 0 elsewhere.

    >>> MaxPooling2D(2).shape_after((5, 4, 3))
    (2, 2, 3)
    """

    examples: ClassVar[SampleSettings] = (
        {}, {"pool_size": 3, "strides": 2, "padding": "same"}, {"pool_size": 3, "ceil_mode": True},
    )  # fmt: skip

    def make_buffers(self, batch_size: int, training: bool) -> Arrays:
        index = self.backend.zeros((batch_size, *self.output_shape), dtype=self.backend.xp.int64)
        return {**super().make_buffers(batch_size, training), "index": index}

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return the maxima; stores their positions."""
        buffers = self._buffers(x)
        y, index = self.images(buffers.y), self.images(buffers.index)
        self.backend.kernels.max_pool2d(self.images(x), *self._geometry, y, index)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        buffers = self._buffers(dy)
        if buffers.dx is not None:
            index, dx = self.images(buffers.index), self.images(buffers.dx)
            self.backend.kernels.max_pool2d_backward(self.images(dy), index, *self._geometry, dx)
        return buffers.dx


class AveragePooling2D(Pooling):
    """The mean of each window; dx is dy divided by the number of pixels.

    Args:
        pool_size, strides, padding, ceil_mode: as in ``Pooling``.
        count_include_pad: whether pixels of the border count as zeros; those of ``ceil_mode`` never do.

    >>> AveragePooling2D(2, padding="same").shape_after((5, 4, 3))
    (3, 2, 3)
    """

    _: KW_ONLY
    count_include_pad: Flag = False

    examples: ClassVar[SampleSettings] = (
        {}, {"pool_size": 3, "strides": 2, "padding": 1},
        {"pool_size": 3, "strides": 2, "padding": 1, "ceil_mode": True, "count_include_pad": True},
    )  # fmt: skip

    def prepare(self, backend: Backend) -> None:
        """Compute ``_fraction``, the fraction of the counted pixels of each window that lie inside the image.

        The kernel divides by the number of pixels inside the image. ``_fraction`` is its mean of 1 inside and
        0 in the counted border.
        """
        self._fraction: Array | None = None
        if self.count_include_pad:
            ones = self.images(np.ones((1, *self.input_shape[:-1], 1), backend.dtype_name))
            inside = backend.from_host(np.pad(ones, ((0, 0), *self.counted_borders, (0, 0))))
            uncounted = np.subtract(self.borders, self.counted_borders).tolist()
            self._fraction = backend.zeros((1, *self.output_shape[:-1], 1))
            y = self.images(self._fraction)
            backend.kernels.average_pool2d(inside, self.size, self.stride_pair, uncounted, y)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        y = self._buffers(x).y
        self.backend.kernels.average_pool2d(self.images(x), *self._geometry, self.images(y))
        if self._fraction is not None:
            y[...] = y * self._fraction
        return y

    def backward(self, dy: Array) -> Array | None:
        dx = self._buffers(dy).dx
        if self._fraction is not None:
            dy[...] = dy * self._fraction
        if dx is not None:
            self.backend.kernels.average_pool2d_backward(self.images(dy), *self._geometry, self.images(dx))
        return dx


class MaxPooling1D(MaxPooling2D):
    """The largest value of each window of a sequence (T, C), channel by channel.

    Args:
        pool_size, strides: one number each.
        padding: "valid", "same", the width of a border on both sides, or (left, right).
        ceil_mode: as in ``Pooling``.

    >>> MaxPooling1D(3, strides=1).shape_after((10, 4))
    (8, 4)
    """

    pool_size: Count = 2
    _: KW_ONLY
    padding: SequenceBorder = "valid"
    strides: Stride = None

    axes = 1
    examples = ({}, {"pool_size": 3, "strides": 2, "padding": "same"})


class AveragePooling1D(AveragePooling2D):
    """The mean of each window of a sequence, channel by channel; arguments as in MaxPooling1D.

    >>> AveragePooling1D().shape_after((10, 4))
    (5, 4)
    """

    pool_size: Count = 2
    _: KW_ONLY
    padding: SequenceBorder = "valid"
    strides: Stride = None

    axes = 1
    examples = ({}, {"pool_size": 3, "strides": 2, "padding": 1, "count_include_pad": True})


class GlobalAveragePooling2D(Layer):
    """The mean of each channel over the whole image: (H, W, C) -> (C,) (Lin et al. 2014); Keras's layer.

    >>> GlobalAveragePooling2D().shape_after((7, 7, 64))
    (64,)
    """

    buffers = "y", "dx"

    def shape_after(self, input_shape: Shape) -> Shape:
        self.require_axes(input_shape, EXPECTED_IMAGES, 3)
        return (input_shape[2],)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y_c = mean over the pixels of x_pqc."""
        y = self._buffers(x).y
        y[...] = self.backend.xp.mean(x, axis=(1, 2))
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx_pqc = dy_c / (H W), the same for every pixel."""
        dx = self._buffers(dy).dx
        if dx is not None:
            dx[...] = quotient(self.backend.xp, dy[:, None, None, :], dx.shape[1] * dx.shape[2])
        return dx


class GlobalMaxPooling2D(GlobalAveragePooling2D):
    """The largest pixel of each channel over the whole image: (H, W, C) -> (C,); the first of ties."""

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y_c = max over the pixels of x_pqc; stores its position."""
        buffers = self._buffers(x)
        xp = self.backend.xp
        pixels = xp.reshape(x, (x.shape[0], -1, x.shape[-1]))
        buffers.y[...] = xp.max(pixels, axis=1)
        buffers.index = xp.argmax(pixels, axis=1, keepdims=True)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """dx is dy at the maximum, 0 elsewhere."""
        buffers = self._buffers(dy)
        xp = self.backend.xp
        if buffers.dx is not None:
            positions = self.backend.indices(0, prod(self.input_shape[:2]))
            dx = xp.where(
                positions[None, :, None] == buffers.index, dy[:, None, :], xp.zeros_like(dy)[:, None, :]
            )
            buffers.dx[...] = xp.reshape(dx, buffers.dx.shape)
        return buffers.dx
