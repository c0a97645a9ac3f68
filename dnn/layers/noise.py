"""Layers that are random in training and do nothing afterwards: Dropout and GaussianNoise; RandomTranslation
and RandomRotation, which show another view of each image in each epoch.

Their random bits come from a stream keyed by the model's seed and the layer's place; its step, how often
the layer has drawn, is a number on the device. So the masks are equal on every backend, and a training
step needs neither an argument nor a read. The views are equal too (to rounding, where they are turned); what
comes in from outside an image is 0, MNIST's background.
"""

from abc import abstractmethod
from math import prod
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from backends import Backend
from dnn.layers.layer import Array, Layer, Shape
from dnn.random import stream_key
from dnn.validation.settings import positive_integer, require_number

_WORD = 0x7FFFFFFF
_UNIT = 2.0**-31


class Random(Layer):
    """Base: in training y is made of x and of pairs of 31 random bits; otherwise y = x."""

    random = True
    kernel: ClassVar[str]  # that ``apply`` needs
    written: ClassVar[tuple[str, ...]] = ("y",)  # buffers (B, n) that it fills

    def pairs(self) -> int:
        """How many an example takes: two words for two numbers of x."""
        return (prod(self.input_shape) + 1) // 2

    def bind(self, backend: Backend) -> None:
        self._key = stream_key(self._seed, type(self).__name__, self._index)
        self._threefry, self._kernel = backend.kernel("threefry"), backend.kernel(self.kernel)

    def initial_state(self) -> dict[str, np.ndarray]:
        return {"step": np.zeros(1, dtype=np.int64)}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        """For each example what is written, pairs of words, and their places in the stream."""
        if not training:
            return {}
        backend, pairs = self.backend, self.pairs()
        return {
            **{name: backend.zeros((batch, prod(self.input_shape))) for name in self.written},
            "bits": backend.zeros((batch, pairs), dtype=backend.xp.int64),
            "counters": backend.from_host(np.arange(batch * pairs, dtype=np.int64).reshape(batch, pairs)),
        }

    def forward(self, x: Array, *, training: bool) -> Array:
        """y in training, x itself otherwise; counts the step."""
        if not training:
            return x
        xp, step, keep = self.backend.xp, self.state["step"], self._buffers[x.shape[0]]
        counters, bits = xp.reshape(keep.counters, (-1,)), self.backend.view(keep.bits, (-1,))
        self._threefry(self._key, step, counters, bits)
        step[...] = step + 1
        self.apply(keep, xp.reshape(x, keep.y.shape))
        return xp.reshape(keep.y, x.shape)

    @abstractmethod
    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        """Write keep.y (B, n) from keep.bits (B, pairs) and x (B, n)."""


class Dropout(Random):
    """In training each number becomes 0 with probability ``rate``, in [0, 1), and the others are divided by
    1 - rate (Srivastava et al. 2014); otherwise y = x.
    """

    kernel = "dropout"
    written = ("y", "mask")
    examples = ({"rate": 0.25},)

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name)
        self.rate = require_number("rate", rate, 0.0, 1.0)

    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        self._kernel(keep.bits, x, self.rate, keep.mask, keep.y)

    def backward(self, dy: Array) -> Array | None:
        """y = x mask, so dx = dy mask."""
        if self._first:
            return None
        mask = self._buffers[dy.shape[0]].mask
        dy[...] = dy * self.backend.xp.reshape(mask, dy.shape)
        return dy


class GaussianNoise(Random):
    """In training y = x + stddev e, stddev from 0, with e standard normal; otherwise y = x."""

    kernel = "gaussian_noise"
    examples = ({"stddev": 0.5},)

    def __init__(self, stddev: float, *, name: str | None = None) -> None:
        super().__init__(name)
        self.stddev = require_number("stddev", stddev, 0.0)

    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        self._kernel(keep.bits, x, self.stddev, keep.y)

    def backward(self, dy: Array) -> Array | None:
        """dx = dy."""
        return None if self._first else dy


class Augmentation(Random):
    """Base: images (H, W) or (H, W, C), four random words for each, a picture made of their pixels.
    It must stand before all layers that are trained, since it passes no gradient back.
    """

    kernel = "gather_rows"
    outermost = True

    def shape_after(self, input_shape: Shape) -> Shape:
        if len(input_shape) not in (2, 3):
            what = f"got examples of shape {input_shape}"
            raise self.refused(what, "images (H, W) or (H, W, C); put Reshape before it")
        return input_shape

    def bind(self, backend: Backend) -> None:
        if not self._first:
            raise self.refused("stands behind a layer that is trained", "it before all of them")
        super().bind(backend)

    def pairs(self) -> int:
        return 2

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        if not training:
            return {}
        backend, (height, width) = self.backend, self.input_shape[:2]
        pixels = np.arange(height * width)
        return {
            **super().make_buffers(batch, training),
            "picked": backend.zeros((batch, height * width, *self.input_shape[2:])),
            # The first pixel of each example in the batch.
            "offset": backend.from_host(np.arange(batch)[:, None] * (height * width)),
            "row": backend.from_host(np.broadcast_to(pixels // width, (batch, pixels.size)).copy()),
            "column": backend.from_host(np.broadcast_to(pixels % width, (batch, pixels.size)).copy()),
        }

    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        xp = self.backend.xp
        words = xp.stack([keep.bits[:, 0] >> 32, keep.bits[:, 0] & _WORD, keep.bits[:, 1] >> 32], axis=1)
        pixels = self.picture(x, xp.astype(words, x.dtype) * _UNIT, keep)
        keep.y[...] = xp.reshape(pixels, keep.y.shape)

    @abstractmethod
    def picture(self, x: Array, uniform: Array, keep: SimpleNamespace) -> Array:
        """Pixels (B, H W[, C]) from those of x (B, n) and numbers (B, 3) in [0, 1)."""

    def at(self, x: Array, row: Array, column: Array, keep: SimpleNamespace) -> Array:
        """The pixels (B, H W[, C]) at integer rows and columns (B, H W); 0 outside the images."""
        xp, (height, width) = self.backend.xp, self.input_shape[:2]
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = xp.where(inside, row * width + column, xp.zeros_like(row)) + keep.offset
        rows = (-1, *self.input_shape[2:])
        out = self.backend.view(keep.picked, rows)
        self._kernel(xp.reshape(x, rows), xp.reshape(place, (-1,)), out, 1.0)
        mask = xp.reshape(xp.astype(inside, x.dtype), (*row.shape, *(1 for _ in self.input_shape[2:])))
        return keep.picked * mask

    def backward(self, dy: Array) -> Array | None:
        """Nothing before it is trained."""
        return None


class RandomTranslation(Augmentation):
    """In training each image is moved by up to ``pixels``, 1 or more, in both directions, all moves alike."""

    examples = ({"pixels": 1},)

    def __init__(self, pixels: int, *, name: str | None = None) -> None:
        super().__init__(name)
        self.pixels = positive_integer("pixels", pixels)

    def picture(self, x: Array, uniform: Array, keep: SimpleNamespace) -> Array:
        xp = self.backend.xp
        moves = xp.astype(uniform[:, :2] * float(2 * self.pixels + 1), xp.int64) - self.pixels
        return self.at(x, keep.row - moves[:, 0:1], keep.column - moves[:, 1:2], keep)


class RandomRotation(Augmentation):
    """In training each image is turned about its middle, up to ``degrees`` to either side, all angles alike.
    ``degrees`` is below 360. Pixels between four others are interpolated linearly in both directions.
    """

    examples = ({"degrees": 5.0},)

    def __init__(self, degrees: float, *, name: str | None = None) -> None:
        super().__init__(name)
        self.degrees = require_number("degrees", degrees, 0.0, 360.0)

    def picture(self, x: Array, uniform: Array, keep: SimpleNamespace) -> Array:
        xp, (height, width) = self.backend.xp, self.input_shape[:2]
        angle = (2.0 * uniform[:, 2:3] - 1.0) * (self.degrees * np.pi / 180.0)
        cosine, sine = xp.cos(angle), xp.sin(angle)
        down = xp.astype(keep.row, x.dtype) - 0.5 * (height - 1)
        right = xp.astype(keep.column, x.dtype) - 0.5 * (width - 1)
        # Where the pixel came from: turned back.
        row = cosine * down - sine * right + 0.5 * (height - 1)
        column = sine * down + cosine * right + 0.5 * (width - 1)
        top, left = xp.floor(row), xp.floor(column)
        low, far = row - top, column - left  # shares of the lower and of the right neighbour
        top, left = xp.astype(top, xp.int64), xp.astype(left, xp.int64)
        shape = (*low.shape, *(1 for _ in self.input_shape[2:]))
        total = xp.zeros((*low.shape, *self.input_shape[2:]), dtype=x.dtype, device=self.backend.device)
        for i, below in (0, 1.0 - low), (1, low):
            for j, right_of in (0, 1.0 - far), (1, far):
                share = xp.reshape(below * right_of, shape)
                total = total + self.at(x, top + i, left + j, keep) * share
        return total
