"""RandomTranslation, RandomRotation, RandomElastic: another view of each image in each epoch of training.

Where pixels come from is drawn on the device from keyed streams, so the views are equal on every backend (of
RandomRotation to rounding: cosines are each library's own). What comes in from outside an image is 0, MNIST's
background.
"""

from abc import abstractmethod
from functools import partial
from math import prod
from types import SimpleNamespace
from typing import Annotated

import numpy as np

from backends import Array, Backend
from backends.reference.warping import SMOOTHING_ROW_SUM
from dnn.layers.layer import Shape
from dnn.layers.noise import Random
from dnn.validation.settings import Count, NotNegative, Share, require_number

_WORD = 0x7FFFFFFF
_UNIT = 2.0**-31


class Augmentation(Random):
    """Base: images (H, W) or (H, W, C), and four random numbers for each.

    It must stand before all layers that are trained, since it passes no gradient back.
    """

    must_precede_trained = True

    def shape_after(self, input_shape: Shape) -> Shape:
        self.require_axes(input_shape, "images (H, W) or (H, W, C); put Reshape before it", 2, 3)
        return input_shape

    def bind(self, backend: Backend) -> None:
        if not self._first:
            raise self.input_error("stands behind a layer that is trained", "it before all of them")
        super().bind(backend)

    def pairs(self) -> int:
        return 2

    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        xp = self.backend.xp
        images = (x.shape[0], *self.input_shape[:2], prod(self.input_shape[2:]))
        words = (part for i in (0, 1) for part in (buffers.bits[:, i] >> 32, buffers.bits[:, i] & _WORD))
        uniform = xp.astype(xp.stack(list(words), axis=0), x.dtype) * _UNIT
        self.transform(uniform, xp.reshape(x, images), buffers)

    @abstractmethod
    def transform(self, uniform: Array, images: Array, buffers: SimpleNamespace) -> None:
        """Write keep.y (B, n) from images (B, H, W, C) and numbers (4, B) in [0, 1)."""

    def backward(self, dy: Array) -> Array | None:
        """Nothing before it is trained."""
        return None


class RandomTranslation(Augmentation):
    """In training each image is moved by up to ``pixels``, 1 or more, in both directions, all moves alike."""

    pixels: Count

    kernel = "gather_rows"
    examples = ({"pixels": 1},)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        if not training:
            return {}
        height, width = self.input_shape[:2]
        n = self.pixels
        wide = (batch, height + 2 * n, width + 2 * n)
        inside = np.arange(prod(wide)).reshape(wide)[:, n : n + height, n : n + width]
        return {
            **super().make_buffers(batch, training),
            "wide": self.backend.zeros((*wide, prod(self.input_shape[2:]))),  # the images, 0 around them
            "places": self.backend.from_host(inside.reshape(batch, -1)),  # of their pixels in it
        }

    def transform(self, uniform: Array, images: Array, buffers: SimpleNamespace) -> None:
        xp = self.backend.xp
        n = self.pixels
        height, width, channels = images.shape[1:]
        buffers.wide[:, n : n + height, n : n + width, :] = images
        moves = xp.astype(xp.floor(uniform[:2, :] * float(2 * n + 1)), xp.int64) - n
        index = buffers.places - (moves[0, :] * (width + 2 * n) + moves[1, :])[:, None]
        rows, y = (self.backend.view(array, (-1, channels)) for array in (buffers.wide, buffers.y))
        self._kernel(rows, xp.reshape(index, (-1,)), y, 1.0)


class Warp(Augmentation):
    """Base of those where pixels come from places between others."""

    kernel = "warp_images"

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        if not training:
            return {}
        backend = self.backend
        return {
            **super().make_buffers(batch, training),
            # Every image as it is: of the others only what a layer changes is written.
            "matrix": backend.from_host(np.tile(np.eye(2, dtype=backend.dtype_name), (batch, 1, 1))),
            "moves": backend.zeros((batch, 2, *self.input_shape[:2])),
        }

    def transform(self, uniform: Array, images: Array, buffers: SimpleNamespace) -> None:
        self.set_warp(uniform, buffers)
        self._kernel(images, buffers.matrix, buffers.moves, self.backend.view(buffers.y, images.shape))

    @abstractmethod
    def set_warp(self, uniform: Array, buffers: SimpleNamespace) -> None:
        """Write keep.matrix (B, 2, 2), keep.moves (B, 2, H, W) or both from numbers (4, B) in [0, 1)."""


class RandomRotation(Warp):
    """In training each image is turned about its middle, up to ``degrees`` to either side, all angles alike.

    ``degrees`` is below 360. Pixels between four others are interpolated linearly in both directions.
    """

    degrees: Annotated[float, partial(require_number, low=0.0, high=360.0)]

    examples = ({"degrees": 5.0},)

    def set_warp(self, uniform: Array, buffers: SimpleNamespace) -> None:
        xp = self.backend.xp
        angle = (2.0 * uniform[2, :] - 1.0) * (self.degrees * np.pi / 180.0)
        _write_matrix(buffers.matrix, _rotation_matrix(xp.cos(angle), xp.sin(angle)))


class RandomElastic(Warp):
    """In training each image is distorted (Simard et al. 2003), turned, scaled and slanted, each by chance.

    Each pixel comes from a place moved by noise from -1 to 1 in both directions, which a Gaussian of standard
    deviation ``sigma`` smooths and ``strength`` multiplies: by about 0.16 strength / sigma pixels. What the
    layer does has the same bits on every backend.

    Args:
        strength: of the moves, in pixels, from 0.
        sigma: in pixels, above 0: small trembles, large bends.
        degrees: up to which it is turned, to either side, below 180; tan(angle / 2) is uniform.
        scale: up to which share of its height, and of its width, it becomes larger or smaller, below 1.
        shear: how many columns at most a row is moved against the next one, to either side.
    """

    strength: NotNegative
    sigma: Annotated[float, partial(require_number, low=1e-3)] = 5.0
    degrees: Annotated[float, partial(require_number, low=0.0, high=180.0)] = 0.0
    scale: Share = 0.0
    shear: NotNegative = 0.0

    examples = (
        {"strength": 30.0},
        {"strength": 30.0, "degrees": 10.0, "scale": 0.1, "shear": 0.2},
    )

    def bind(self, backend: Backend) -> None:
        super().bind(backend)
        self._smooth = backend.kernel("smooth_moves")
        shares = (_gaussian(n, self.sigma).astype(backend.dtype_name) for n in self.input_shape[:2])
        self._shares = tuple(map(backend.from_host, shares))

    def pairs(self) -> int:
        """Two for the four numbers, and one for each seven bytes of noise."""
        return 2 + -(-2 * prod(self.input_shape[:2]) // 7)

    def set_warp(self, uniform: Array, buffers: SimpleNamespace) -> None:
        self._smooth(buffers.bits[:, 2:], *self._shares, self.strength, buffers.moves)
        spread = 2.0 * uniform - 1.0
        t = spread[0, :] * float(np.tan(self.degrees * np.pi / 360.0))
        square = t * t
        (cosine, minus), (sine, _) = _rotation_matrix(
            (1.0 - square) / (1.0 + square), 2.0 * t / (1.0 + square)
        )
        high, wide = (1.0 + self.scale * spread[i, :] for i in (1, 2))
        slant = self.shear * spread[3, :]
        first = (cosine * high + minus * slant, minus * wide)
        _write_matrix(buffers.matrix, (first, (sine * high + cosine * slant, cosine * wide)))


def _rotation_matrix(cosine: Array, sine: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The matrix of a turn: where the pixel came from."""
    return (cosine, -sine), (sine, cosine)


def _write_matrix(matrix: Array, numbers: tuple[tuple[Array, Array], tuple[Array, Array]]) -> None:
    for i, row in enumerate(numbers):
        for j, number in enumerate(row):
            matrix[:, i, j] = number


def _gaussian(n: int, sigma: float) -> np.ndarray:
    """(n, n) integer weights of a Gaussian about each place; a full row sums to about SMOOTHING_ROW_SUM."""
    far = np.subtract.outer(np.arange(n), np.arange(n)) / sigma
    shares: np.ndarray = np.floor(
        SMOOTHING_ROW_SUM / max(1.0, sigma * np.sqrt(2.0 * np.pi)) * np.exp(-0.5 * far * far)
    )
    return shares
