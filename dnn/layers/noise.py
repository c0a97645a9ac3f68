"""Dropout and GaussianNoise: layers that are random in training and do nothing afterwards.

Their random bits come from a stream keyed by the model's seed and the layer's place; its step, how often
the layer has drawn, is a number on the device. So the masks are equal on every backend, and a training
step needs neither an argument nor a read.
"""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from types import SimpleNamespace

import numpy as np

from backends import Backend
from dnn.layers.layer import Array, Layer
from dnn.random import stream_key
from dnn.validation.settings import require_number


class Random(Layer):
    """Base: draws pairs of 31 random bits for each example of a batch in training."""

    random = True

    def bind(self, backend: Backend) -> None:
        self._key = stream_key(self._seed, type(self).__name__, self._index)
        self._threefry = backend.kernel("threefry")

    def initial_state(self) -> dict[str, np.ndarray]:
        return {"step": np.zeros(1, dtype=np.int64)}

    def bit_buffers(self, batch: int, pairs: int) -> dict[str, Array | None]:
        """For ``draw``: so many pairs of words an example, and their places in the stream."""
        backend, xp = self.backend, self.backend.xp
        counters = xp.arange(batch * pairs, dtype=xp.int64, device=backend.device)
        bits = backend.zeros((batch, pairs), dtype=xp.int64)
        return {"bits": bits, "counters": xp.reshape(counters, (batch, pairs))}

    def draw(self, keep: SimpleNamespace) -> None:
        """Write keep.bits (B, pairs), and count the step."""
        step, bits = self.state["step"], self.backend.view(keep.bits, (-1,))
        self._threefry(self._key, step, self.backend.xp.reshape(keep.counters, (-1,)), bits)
        step[...] = step + 1


class Noise(Random):
    """Base: two words for two numbers of x."""

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        if not training:
            return {}
        n = prod(self.input_shape)
        return {"y": self.backend.zeros((batch, n)), **self.bit_buffers(batch, (n + 1) // 2)}

    def forward(self, x: Array, *, training: bool) -> Array:
        """y in training, x itself otherwise."""
        if not training:
            return x
        xp, keep = self.backend.xp, self._buffers[x.shape[0]]
        self.draw(keep)
        self.apply(keep, xp.reshape(x, keep.y.shape))
        return xp.reshape(keep.y, x.shape)

    @abstractmethod
    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        """Write keep.y from keep.bits and x (B, n)."""


class Dropout(Noise):
    """In training each number becomes 0 with probability ``rate``, the others are divided by 1 - rate
    (Srivastava et al. 2014); otherwise y = x.

    Args:
        rate: in [0, 1).
        name: None: "dropout_1", ...

    Raises:
        InputError: a rate out of range.
    """

    examples = ({"rate": 0.25},)

    def __init__(self, rate: float, *, name: str | None = None) -> None:
        super().__init__(name)
        require_number("rate", rate, 0.0, 1.0)
        self.rate = float(rate)

    def bind(self, backend: Backend) -> None:
        super().bind(backend)
        self._dropout = backend.kernel("dropout")

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        buffers = super().make_buffers(batch, training)
        if training:
            buffers["mask"] = self.backend.zeros((batch, prod(self.input_shape)))
        return buffers

    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        self._dropout(keep.bits, x, self.rate, keep.mask, keep.y)

    def backward(self, dy: Array) -> Array | None:
        """y = x mask, so dx = dy mask."""
        if self._first:
            return None
        mask = self._buffers[dy.shape[0]].mask
        dy[...] = dy * self.backend.xp.reshape(mask, dy.shape)
        return dy


class GaussianNoise(Noise):
    """In training y = x + stddev e with e standard normal; otherwise y = x.

    Args:
        stddev: finite, at least 0.
        name: None: "gaussian_noise_1", ...

    Raises:
        InputError: a stddev out of range.
    """

    examples = ({"stddev": 0.5},)

    def __init__(self, stddev: float, *, name: str | None = None) -> None:
        super().__init__(name)
        require_number("stddev", stddev, 0.0)
        self.stddev = float(stddev)

    def bind(self, backend: Backend) -> None:
        super().bind(backend)
        self._noise = backend.kernel("gaussian_noise")

    def apply(self, keep: SimpleNamespace, x: Array) -> None:
        self._noise(keep.bits, x, self.stddev, keep.y)

    def backward(self, dy: Array) -> Array | None:
        """dx = dy."""
        return None if self._first else dy
