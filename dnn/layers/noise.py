"""Dropout and GaussianNoise: layers that are random in training and do nothing afterwards.

Their random bits come from a stream keyed by the model's seed and the layer's place; its step, how often
the layer has drawn, is a number on the device. So the masks are equal on every backend, and a training
step needs neither an argument nor a read.
"""

from __future__ import annotations

from abc import abstractmethod
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np

from backends import Backend
from dnn.layers.layer import Array, Layer, Shape
from dnn.random import stream_key
from dnn.validation.settings import require_number


class Noise(Layer):
    """Base: draws 31 bits for each number of x, as integers of two such words."""

    random = True

    def shape_after(self, input_shape: Shape) -> Shape:
        return input_shape

    def bind(self, backend: Backend) -> None:
        self._key = stream_key(self._seed, type(self).__name__, self._index)
        self._threefry = backend.kernel("threefry")

    def initial_state(self) -> dict[str, np.ndarray]:
        return {"step": np.zeros(1, dtype=np.int64)}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        if not training:
            return {}
        backend, xp = self.backend, self.backend.xp
        n = prod(self.input_shape)
        pairs = (batch, (n + 1) // 2)
        counters = xp.arange(prod(pairs), dtype=xp.int64, device=backend.device)
        return {
            "y": backend.zeros((batch, n)),
            "bits": backend.zeros(pairs, dtype=xp.int64),
            "counters": xp.reshape(counters, pairs),
        }

    def forward(self, x: Array, *, training: bool) -> Array:
        """y in training, x itself otherwise."""
        if not training:
            return x
        xp = self.backend.xp
        keep = self._buffers[x.shape[0]]
        bits = self.backend.view(keep.bits, (-1,))
        step = self.state["step"]
        self._threefry(self._key, step, xp.reshape(keep.counters, (-1,)), bits)
        step[...] = step + 1
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

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "rate": self.rate}


class GaussianNoise(Noise):
    """In training y = x + stddev e with e standard normal; otherwise y = x.

    Args:
        stddev: finite, at least 0.
        name: None: "gaussian_noise_1", ...

    Raises:
        InputError: a stddev out of range.
    """

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

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "stddev": self.stddev}
