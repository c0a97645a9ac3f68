"""RandomTranslation, RandomRotation, RandomElastic: change each image at random in each epoch of training.

The random numbers come from keyed streams on the device, so the images are equal on every backend. Those of
RandomRotation are equal up to rounding, because each library computes its own cosines. Pixels from outside
an image are 0, the background of MNIST.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial
from math import prod
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import short_repr
from backends.reference.warping import SMOOTHING_ROW_SUM
from backends.reproducible.functions import cos, exp, sin
from dnn.io.notices import warn
from dnn.layers.layer import Arrays, Shape
from dnn.layers.noise import Random
from dnn.settings.checks import (
    Fraction,
    NotNegative,
    positive_integer,
    require_number,
)

_WORD = 0x7FFFFFFF
_UNIT = 2.0**-31


class Augmentation(Random):
    """Base: images (H, W) or (H, W, C), and four random numbers for each image.

    It must precede all trained layers, because its backward returns no gradient.
    """

    must_precede_trained = True

    def shape_after(self, input_shape: Shape) -> Shape:
        self.require_axes(input_shape, "images (H, W) or (H, W, C); put Reshape before it", 2, 3)
        return input_shape

    def word_pairs(self) -> int:
        return 2

    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        xp = self.backend.xp
        images = (x.shape[0], *self.input_shape[:2], prod(self.input_shape[2:]))
        words = (word for i in (0, 1) for word in (buffers.bits[:, i] >> 32, buffers.bits[:, i] & _WORD))
        uniform = xp.astype(xp.stack(list(words), axis=0), x.dtype) * _UNIT
        self.transform(uniform, xp.reshape(x, images), buffers)

    @abstractmethod
    def transform(self, uniform: Array, images: Array, buffers: SimpleNamespace) -> None:
        """Write buffers.y (B, n) from images (B, H, W, C) and random numbers (4, B) in [0, 1)."""

    def backward(self, dy: Array) -> Array | None:
        """Return None: no layer before it is trained."""
        return None


def _check_pixels(argument: str, value: Any) -> int:
    """Return the number of pixels. Raises InputError: it is no integer, such as a share of the image."""
    if isinstance(value, float) and 0.0 < value < 1.0:
        usual = max(1, round(28 * value))
        share = f"for the share {value:g} of images of 28 x 28 pixels (others: their side times {value:g})"
        cure = f"{share} write RandomTranslation({usual})"
        raise InputError(f"{argument} is {value:g}", "an integer of at least 1", cure)
    return positive_integer(argument, value)


class RandomTranslation(Augmentation):
    """Move each image in training by up to ``pixels``, at least 1, along both axes; uniform whole pixels."""

    pixels: Annotated[int, _check_pixels]

    examples = ({"pixels": 1},)

    @classmethod
    def check_positions(cls, arguments: tuple[Any, ...], names: Sequence[str]) -> None:
        if len(arguments) > 1:  # Keras's factors for height and width
            pixels = _check_pixels("pixels", arguments[0])
            got = f"RandomTranslation got the numbers {short_repr(arguments)}"
            raise InputError(got, "one, for both axes", f"write RandomTranslation({pixels})")

    def training_buffers(self, batch_size: int) -> Arrays:
        height, width = self.input_shape[:2]
        n = self.pixels
        wide = (batch_size, height + 2 * n, width + 2 * n)
        inside = np.arange(prod(wide)).reshape(wide)[:, n : n + height, n : n + width]
        return {
            **super().training_buffers(batch_size),
            "wide": self.backend.zeros((*wide, prod(self.input_shape[2:]))),  # images with a border of zeros
            "indices": self.backend.from_host(inside.reshape(batch_size, -1)),  # of the pixels in "wide"
        }

    def transform(self, uniform: Array, images: Array, buffers: SimpleNamespace) -> None:
        xp = self.backend.xp
        n = self.pixels
        height, width, channels = images.shape[1:]
        buffers.wide[:, n : n + height, n : n + width, :] = images
        moves = xp.astype(xp.floor(uniform[:2, :] * float(2 * n + 1)), xp.int64) - n
        index = buffers.indices - (moves[0, :] * (width + 2 * n) + moves[1, :])[:, None]
        rows, y = (self.backend.view(array, (-1, channels)) for array in (buffers.wide, buffers.y))
        self.backend.kernels.gather_rows(rows, xp.reshape(index, (-1,)), y, 1.0)


class Warp(Augmentation):
    """Base of layers that interpolate pixels: output pixels come from positions between input pixels."""

    def training_buffers(self, batch_size: int) -> Arrays:
        zeros = self.backend.zeros
        return {
            **super().training_buffers(batch_size),
            "matrix": zeros((batch_size, 2, 2)),
            "moves": zeros((batch_size, 2, *self.input_shape[:2])),
        }

    def transform(self, uniform: Array, images: Array, buffers: SimpleNamespace) -> None:
        self.set_warp(uniform, buffers)
        y = self.backend.view(buffers.y, images.shape)
        self.backend.kernels.warp_images(images, buffers.matrix, buffers.moves, y)

    @abstractmethod
    def set_warp(self, uniform: Array, buffers: SimpleNamespace) -> None:
        """Write buffers.matrix (B, 2, 2) and, unless they are 0, buffers.moves (B, 2, H, W).

        ``uniform`` is (4, B) in [0, 1).
        """


class RandomRotation(Warp):
    """Rotate each image in training about its centre, by a uniform angle of up to ``degrees`` either way.

    Pixels are interpolated bilinearly.

    Args:
        degrees: at least 0 and below 360.
    """

    degrees: Annotated[float, partial(require_number, low=0.0, high=360.0)]

    examples = ({"degrees": 5.0},)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.0 < self.degrees < 1.0:
            number = f"{self.degrees:g}"
            keras = f"for {number} of a full turn, as in Keras, write RandomRotation({360 * self.degrees:g})"
            warn(f"RandomRotation({number}) rotates by at most {number} degrees; {keras}")

    def set_warp(self, uniform: Array, buffers: SimpleNamespace) -> None:
        xp = self.backend.xp
        angle = (2.0 * uniform[2, :] - 1.0) * (self.degrees * np.pi / 180.0)
        cosine = xp.cos(angle)
        sine = xp.sin(angle)
        _write_matrix(buffers.matrix, (cosine, -sine), (sine, cosine))


class RandomElastic(Warp):
    """Distort each image at random in training (Simard et al. 2003); rotate, scale and shear it too.

    The distortion moves each pixel by noise. The noise is uniform in [-1, 1] along both axes, smoothed by a
    Gaussian of standard deviation ``sigma`` and multiplied by ``strength``; the moves are then about
    0.16 strength / sigma pixels. The result has the same bits on every backend.

    Args:
        strength: of the distortion in pixels, at least 0.
        sigma: in pixels, at least 0.001; small values give jagged strokes, large values bent ones.
        degrees: maximum rotation either way, below 180; tan(angle / 2) is uniform.
        scale: maximum relative change of height and of width, below 1.
        shear: maximum shift of a row against the next one, in columns either way.
    """

    strength: NotNegative
    sigma: Annotated[float, partial(require_number, low=1e-3)] = 5.0
    degrees: Annotated[float, partial(require_number, low=0.0, high=180.0)] = 0.0
    scale: Fraction = 0.0
    shear: NotNegative = 0.0

    examples = (
        {"strength": 30.0},
        {"strength": 30.0, "degrees": 10.0, "scale": 0.1, "shear": 0.2},
    )

    def prepare(self, backend: Backend) -> None:
        super().prepare(backend)
        weights = (_gaussian(n, self.sigma).astype(backend.dtype_name) for n in self.input_shape[:2])
        self._smoothing = tuple(map(backend.from_host, weights))

    def word_pairs(self) -> int:
        """Return the pairs of random words: two for the four numbers, and one per seven bytes of noise."""
        return 2 + -(-2 * prod(self.input_shape[:2]) // 7)

    def set_warp(self, uniform: Array, buffers: SimpleNamespace) -> None:
        rows, columns = self._smoothing
        self.backend.kernels.displacements(buffers.bits[:, 2:], rows, columns, self.strength, buffers.moves)
        spread = 2.0 * uniform - 1.0
        half_angle = np.asarray(self.degrees * np.pi / 360.0)
        t = spread[0, :] * float(sin(np, half_angle) / cos(np, half_angle))
        square = t * t
        cosine = (1.0 - square) / (1.0 + square)
        sine = 2.0 * t / (1.0 + square)
        high, wide = (1.0 + self.scale * spread[i, :] for i in (1, 2))
        slant = self.shear * spread[3, :]
        first = cosine * high - sine * slant, -sine * wide
        second = sine * high + cosine * slant, cosine * wide
        _write_matrix(buffers.matrix, first, second)


def _write_matrix(matrix: Array, *rows: tuple[Array, Array]) -> None:
    """Write the matrix that maps an output pixel to its source."""
    for i, row in enumerate(rows):
        for j, number in enumerate(row):
            matrix[:, i, j] = number


def _gaussian(n: int, sigma: float) -> np.ndarray:
    """(n, n) integer weights of a Gaussian about each pixel; a full row sums to about SMOOTHING_ROW_SUM."""
    distance = np.subtract.outer(np.arange(n), np.arange(n)) / sigma
    weights = SMOOTHING_ROW_SUM / max(1.0, sigma * np.sqrt(2.0 * np.pi)) * exp(np, -0.5 * distance * distance)
    return np.asarray(np.floor(weights))
