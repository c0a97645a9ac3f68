"""BatchNormalization and LayerNormalization; the last axis holds the features.

Each pixel of images (H, W, C) is a row of C numbers. x^ is x normalised to mean 0 and variance 1.
"""

from dataclasses import KW_ONLY
from math import prod

import numpy as np

from backends import Array, Backend
from backends.reference.declaration import Kernel
from dnn.io.notices import warn
from dnn.layers.layer import Layer, Shape
from dnn.random import Key
from dnn.settings.checks import Fraction, NotNegative
from dnn.typing import HostArrays


class Normalization(Layer):
    """Base: ``y = x^ gamma + beta``; gamma starts at 1, beta at 0. ``epsilon`` is added to the variance."""

    _: KW_ONLY
    epsilon: NotNegative = 1e-5

    buffers = ("y",)

    def prepare(self, backend: Backend) -> None:
        self._n = self.input_shape[-1]

    def parameter_shapes(self) -> dict[str, Shape]:
        return dict.fromkeys(("gamma", "beta"), self.input_shape[-1:])

    def initial_values(self, key: Key) -> HostArrays:
        return {"gamma": np.ones(self._n), "beta": np.zeros(self._n)}

    def _rows(self, x: Array) -> Array:
        """Return x (B, ..., n) as (N, n)."""
        return self.backend.xp.reshape(x, (-1, self._n))

    def _call_backward(self, kernel: Kernel, dy: Array) -> Array | None:
        """Return dx, which overwrites dy; the kernel's docstring has the formula."""
        buffers = self._buffers(dy)
        rows = self._rows(dy)
        gradients = self.gradient["gamma"], self.gradient["beta"], rows if self._needs_dx else None
        kernel(rows, self._rows(buffers.x), buffers.statistics, self.value["gamma"], gradients)
        return self.backend.xp.reshape(rows, dy.shape) if self._needs_dx else None


class BatchNormalization(Normalization):
    """Subtract the mean of each feature and divide by its standard deviation (Ioffe and Szegedy 2015).

    Training uses the statistics of the batch, inference the running averages, as in torch.nn.BatchNorm1d and
    BatchNorm2d. The running variance is the unbiased one, divided by N - 1. A training batch of one example
    has no variance; it is normalised by the running averages, which it does not change.

    Args:
        momentum: weight of the newest batch in the running averages, in [0, 1), as in torch (Keras's is 1
            minus this).
        epsilon: added to the variance, at least 0.
    """

    _: KW_ONLY
    momentum: Fraction = 0.1

    uses_batch_statistics = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.momentum > 0.5:
            keras = f"for Keras's momentum={self.momentum:g} write momentum={1.0 - self.momentum:.6g}"
            warn(f"BatchNormalization(momentum={self.momentum:g}) weights the newest batch by this; {keras}")

    def prepare(self, backend: Backend) -> None:
        super().prepare(backend)
        self._statistics = backend.zeros(self._n), backend.zeros(self._n)

    def initial_state(self) -> HostArrays:
        return {"running_mean": np.zeros(self._n), "running_variance": np.ones(self._n)}

    def _uses_batch(self, batch_size: int) -> bool:
        """Return whether training on a batch of this size uses its statistics."""
        return self.trainable and batch_size * prod(self.input_shape[:-1]) > 1

    def reserve(self, batch_size: int, training: bool) -> None:
        if training and self.trainable and not self._uses_batch(batch_size):
            cure = "choose a batch_size that leaves no single example at the end or in a block"
            warn(f"layer {self.name!r} normalises a batch of one example by its running averages; {cure}")
        super().reserve(batch_size, training)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = x^ gamma + beta; in training updates the running averages and stores the statistics.

        A frozen layer uses the running averages in training too, and so does a batch of one example.
        """
        buffers = self._buffers(x)
        buffers.x = x
        buffers.statistics = self._statistics
        gamma = self.value["gamma"]
        beta = self.value["beta"]
        mean, variance = running = self.state["running_mean"], self.state["running_variance"]
        if training and self._uses_batch(x.shape[0]):
            settings = self.momentum, self.epsilon
            y = self._rows(buffers.y)
            self.backend.kernels.batch_norm(
                self._rows(x), gamma, beta, running, settings, self._statistics, y
            )
        else:
            buffers.y[...] = (x - mean) * (gamma / self.backend.xp.sqrt(variance + self.epsilon)) + beta
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """Call the kernel; if y used running averages, dx = dy gamma / sqrt(variance + epsilon)."""
        if self._uses_batch(dy.shape[0]):
            return self._call_backward(self.backend.kernels.batch_norm_backward, dy)
        xp = self.backend.xp
        scale = xp.sqrt(self.state["running_variance"] + self.epsilon)
        if self.trainable:
            normalised = (self._buffers(dy).x - self.state["running_mean"]) / scale
            self.gradient["gamma"][...] = xp.sum(self._rows(dy * normalised), axis=0)
            self.gradient["beta"][...] = xp.sum(self._rows(dy), axis=0)
        dy[...] = dy * (self.value["gamma"] / scale)
        return dy if self._needs_dx else None


class LayerNormalization(Normalization):
    """Subtract the mean over the features and divide by their standard deviation (Ba et al. 2016).

    Each example, or each pixel of an image, is normalised by itself; the same in training and inference. As
    torch.nn.LayerNorm(n).
    """

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = x^ gamma + beta; stores x and the statistics."""
        buffers = self._buffers(x)
        buffers.x = x
        rows = self._rows(x)
        n = rows.shape[0]
        buffers.statistics = self.backend.zeros(n), self.backend.zeros(n)
        self.backend.kernels.layer_norm(
            rows, self.value["gamma"], self.value["beta"], self.epsilon, buffers.statistics,
            self._rows(buffers.y),
        )  # fmt: skip
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        return self._call_backward(self.backend.kernels.layer_norm_backward, dy)
