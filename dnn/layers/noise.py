"""Dropout and GaussianNoise: layers that are random in training and do nothing afterwards.

Their random bits come from a stream keyed by the model's seed and the layer's place; its step, how often the
layer has drawn, is on the device. So masks are equal on every backend, and an update needs no read.
"""

from abc import abstractmethod
from math import prod
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

from backends import Array, Backend
from dnn.layers.layer import Layer
from dnn.random import stream_key
from dnn.validation.settings import NotNegative, Share


class Random(Layer):
    """Base: in training y is made of x and of pairs of 31 random bits; otherwise y = x."""

    random = True
    kernel: ClassVar[str]  # that ``apply`` needs
    output_buffers: ClassVar[tuple[str, ...]] = ("y",)  # buffers (B, n) that it fills
    _row = 0

    def set_first_row(self, row: int) -> None:
        """From now on x begins at this row of a batch, and gets what it would get in the whole of it."""
        self._row = row

    def pairs(self) -> int:
        """How many an example takes: two words for two numbers of x."""
        return (prod(self.input_shape) + 1) // 2

    def bind(self, backend: Backend) -> None:
        self._key = stream_key(self._seed, type(self).__name__, self._index)
        self._threefry = backend.kernel("threefry")
        self._kernel = backend.kernel(self.kernel)

    def initial_state(self) -> dict[str, np.ndarray]:
        return {"step": np.zeros(1, dtype=np.int64)}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        """For each example what is written, pairs of words, and their places in the stream."""
        if not training:
            return {}
        backend = self.backend
        pairs = self.pairs()
        return {
            **{name: backend.zeros((batch, prod(self.input_shape))) for name in self.output_buffers},
            "bits": backend.zeros((batch, pairs), dtype=backend.xp.int64),
            "counters": backend.from_host(np.arange(batch * pairs, dtype=np.int64).reshape(batch, pairs)),
        }

    def forward(self, x: Array, *, training: bool) -> Array:
        """y in training, x itself otherwise; counts the step."""
        if not training:
            return x
        xp = self.backend.xp
        step = self.state["step"]
        buffers = self._buffers[x.shape[0]]
        counters = xp.reshape(buffers.counters, (-1,))
        if self._row:
            counters = counters + self._row * self.pairs()
        self._threefry(self._key, step, counters, self.backend.view(buffers.bits, (-1,)))
        step[...] = step + 1
        self.apply(buffers, xp.reshape(x, buffers.y.shape))
        return xp.reshape(buffers.y, x.shape)

    @abstractmethod
    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        """Write keep.y (B, n) from keep.bits (B, pairs) and x (B, n)."""


class Dropout(Random):
    """In training each number becomes 0 with probability ``rate``, in [0, 1), and the others are divided by
    1 - rate (Srivastava et al. 2014); otherwise y = x.
    """

    rate: Share

    kernel = "dropout"
    output_buffers = ("y", "mask")
    examples = ({"rate": 0.25},)

    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        self._kernel(buffers.bits, x, self.rate, buffers.mask, buffers.y)

    def backward(self, dy: Array) -> Array | None:
        """y = x mask, so dx = dy mask."""
        if self._first:
            return None
        dy[...] = dy * self.backend.xp.reshape(self._buffers[dy.shape[0]].mask, dy.shape)
        return dy


class GaussianNoise(Random):
    """In training y = x + stddev e, stddev from 0, with e standard normal; otherwise y = x."""

    stddev: NotNegative

    kernel = "gaussian_noise"
    examples = ({"stddev": 0.5},)

    def apply(self, buffers: SimpleNamespace, x: Array) -> None:
        self._kernel(buffers.bits, x, self.stddev, buffers.y)

    def backward(self, dy: Array) -> Array | None:
        """dx = dy."""
        return None if self._first else dy
