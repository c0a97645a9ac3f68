"""RandomTranslation and RandomRotation: another view of each image in each epoch, only in training.

Where they go and how far is drawn on the device from keyed streams, so the views are equal on every backend
(to rounding, where they are turned). What comes in from outside an image is 0, MNIST's background.
"""

from abc import abstractmethod
from math import prod
from types import SimpleNamespace

import numpy as np

from backends import Array, Backend
from dnn.layers.layer import Shape
from dnn.layers.noise import Random
from dnn.validation.settings import positive_integer, require_number

_WORD = 0x7FFFFFFF
_UNIT = 2.0**-31


class Augmentation(Random):
    """Base: images (H, W) or (H, W, C), four random words for each, a picture made of their pixels.

    It must stand before all layers that are trained, since it passes no gradient back.
    """

    kernel = "gather_rows"
    outermost = True

    def shape_after(self, input_shape: Shape) -> Shape:
        if len(input_shape) not in (2, 3):
            got = f"got examples of shape {input_shape}"
            raise self.refused(got, "images (H, W) or (H, W, C); put Reshape before it")
        return input_shape

    def bind(self, backend: Backend) -> None:
        if not self._first:
            raise self.refused("stands behind a layer that is trained", "it before all of them")
        super().bind(backend)
        places = np.divmod(np.arange(prod(self.input_shape[:2])), self.input_shape[1])
        self._pixel_row, self._pixel_column = map(backend.from_host, places)

    def pairs(self) -> int:
        return 2

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        if not training:
            return {}
        backend, pixels = self.backend, prod(self.input_shape[:2])
        return {
            **super().make_buffers(batch, training),
            "picked": backend.zeros((batch, pixels, *self.input_shape[2:])),
            # The first pixel of each example in the batch.
            "offset": backend.from_host(np.arange(batch)[:, None] * pixels),
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
        return self.at(x, self._pixel_row - moves[:, 0:1], self._pixel_column - moves[:, 1:2], keep)


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
        down = xp.astype(self._pixel_row, x.dtype) - 0.5 * (height - 1)
        right = xp.astype(self._pixel_column, x.dtype) - 0.5 * (width - 1)
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
