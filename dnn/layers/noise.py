"""Dropout and GaussianNoise: random in training, the identity in inference.

The random bits come from a stream keyed by the model's seed and the layer's position. The step of the stream
counts the draws and is on the device. So masks are equal on every backend, and an update reads nothing back.
"""

from abc import abstractmethod
from math import prod
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from backends import Array, Backend
from dnn.layers.layer import Arrays, Layer
from dnn.random import stream_key
from dnn.settings.checks import Fraction, NotNegative


class Random(Layer):
    """Base: in training y depends on x and on pairs of 31 random bits; otherwise y = x."""

    random = True
    buffers: ClassVar[tuple[str, ...]] = ("y",)  # (B, n) each, written by ``apply``
    _row = 0

    def set_first_row(self, row: int) -> None:
        self.store("_row", row)

    def word_pairs(self) -> int:
        """Return the number of pairs of random words per example: one word per number of x."""
        return (prod(self.input_shape) + 1) // 2

    def prepare(self, backend: Backend) -> None:
        self._key = stream_key(self._seed, type(self).__name__, self._index)

    def initial_state(self) -> dict[str, np.ndarray]:
        return {"step": np.zeros(1, dtype=np.int64)}

    def make_buffers(self, batch_size: int, training: bool) -> Arrays:
        return self.training_buffers(batch_size) if training else {}

    def training_buffers(self, batch_size: int) -> Arrays:
        """Return the output buffers, the random bits, and their positions in the stream."""
        backend = self.backend
        shape = batch_size, self.word_pairs()
        return {
            **{name: backend.zeros((batch_size, prod(self.input_shape))) for name in self.buffers},
            "bits": backend.zeros(shape, dtype=backend.xp.int64),
            "positions": backend.from_host(np.arange(prod(shape), dtype=np.int64).reshape(shape)),
        }

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y in training, else x; increments the counter."""
        if not training:
            return x
        xp = self.backend.xp
        counter = self.state["step"]
        buffers = self._buffers(x)
        positions = xp.reshape(buffers.positions, (-1,))
        if self._row:
            positions = positions + self._row * self.word_pairs()
        bits = self.backend.view(buffers.bits, (-1,))
        self.backend.kernels.threefry(self._key, counter, positions, bits)
        counter[...] = counter + 1
        self.apply(buffers, xp.reshape(x, buffers.y.shape))
        return xp.reshape(buffers.y, x.shape)

    @abstractmethod
    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        """Write buffers.y (B, n), given buffers.bits (B, pairs) and x (B, n)."""


class Dropout(Random):
    """Set each number to 0 with probability ``rate`` in training, and divide the others by 1 - rate.

    Otherwise y = x (Srivastava et al. 2014).

    Args:
        rate: in [0, 1).
    """

    rate: Fraction

    buffers = ("y", "mask")
    examples = ({"rate": 0.25},)

    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        self.backend.kernels.dropout(buffers.bits, x, self.rate, buffers.mask, buffers.y)

    def backward(self, dy: Array) -> Array:
        """y = x mask, so dx = dy mask."""
        dy[...] = dy * self.backend.xp.reshape(self._buffers(dy).mask, dy.shape)
        return dy


class GaussianNoise(Random):
    """y = x + stddev e in training, with e standard normal and stddev at least 0; otherwise y = x."""

    stddev: NotNegative

    examples = ({"stddev": 0.5},)

    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        self.backend.kernels.gaussian_noise(buffers.bits, x, self.stddev, buffers.y)

    def backward(self, dy: Array) -> Array:
        """dx = dy."""
        return dy
