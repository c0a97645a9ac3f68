"""Conv2D: a small Dense on every window of an image."""

from __future__ import annotations

from typing import Any

import numpy as np

from backends import Backend
from backends.reference import ACTIVATIONS
from dnn.layers.initializers import INITIALIZERS, initializer_for
from dnn.layers.layer import Array, Shape
from dnn.layers.windows import Lengths, Windows
from dnn.random import Key
from dnn.validation.settings import look_up, positive_integer


class Conv2D(Windows):
    """``y_pq = f(sum_ij x_(p s + i - top)(q t + j - left) W_ij + b)``: a small Dense on each window.

    Args:
        filters: n_out, channels of the output.
        kernel_size: (h, w) of a window, or one number for both.
        activation: f, as in Dense.
        strides: from one window to the next.
        padding: "valid", "same", or pixels of border; see ``Windows``.
        initializer: of W (h, w, n_in, n_out), as in Dense; b starts at 0.
        name: None: "conv2d_1", ...

    Raises:
        InputError: a setting out of range.

    >>> Conv2D(8, 3, "relu", padding="same").shape_after((28, 28, 1))
    (28, 28, 8)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        activation: str = "linear",
        *,
        strides: Lengths = 1,
        padding: str | Lengths = "valid",
        initializer: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__("kernel_size", kernel_size, strides, padding, name)
        self.filters = positive_integer("filters", filters)
        look_up("activation", activation, dict.fromkeys(ACTIVATIONS))
        self.activation = activation  # type: ignore[misc]
        self.initializer = initializer_for(activation) if initializer is None else initializer
        look_up("initializer", self.initializer, INITIALIZERS)

    def channels_after(self, channels: int) -> int:
        return self.filters

    def bind(self, backend: Backend) -> None:
        self._conv = backend.kernel("conv2d")
        self._conv_backward = backend.kernel("conv2d_backward")
        self._activate = backend.kernel("activation", self.activation)
        self._activate_backward = backend.kernel("activation_backward", self.activation)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"W": (*self.size, self.input_shape[2], self.filters), "b": (self.filters,)}

    def initial_values(self, key: Key) -> dict[str, np.ndarray]:
        W = INITIALIZERS[self.initializer](key, self.parameter_shapes()["W"])
        return {"W": W, "b": np.zeros(self.filters)}

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        zeros = self.backend.zeros
        y = zeros((batch, *self.output_shape))
        # Where f' follows from y, f works in place.
        z = y if ACTIVATIONS[self.activation].from_output else zeros((batch, *self.output_shape))
        dx = zeros((batch, *self.input_shape)) if training and not self._first else None
        return {"y": y, "z": z, "dx": dx}

    def forward(self, x: Array, *, training: bool) -> Array:
        """y = f(z); keeps x, z and y."""
        keep = self._buffers[x.shape[0]]
        self.forward_logits(x, training=training)
        if self.activation != "linear":
            self._activate(keep.z, keep.y)
        return keep.y

    def backward(self, dy: Array) -> Array | None:
        """dz = f'(z) dy, then as in Dense for each window; see the kernel."""
        keep = self._buffers[dy.shape[0]]
        if self.activation != "linear":
            self._activate_backward(dy, keep.z, keep.y, dy)
        return self.backward_logits(dy)

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        """z alone."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        self._conv(x, self.value["W"], self.value["b"], self.strides, self.borders, keep.z)
        return keep.z

    def backward_logits(self, dz: Array) -> Array | None:
        """``backward`` from dL/dz."""
        keep = self._buffers[dz.shape[0]]
        W, dW, db = self.value["W"], self.gradient["W"], self.gradient["b"]
        self._conv_backward(dz, keep.x, W, self.strides, self.borders, (dW, db, keep.dx))
        return keep.dx

    def config(self) -> dict[str, Any]:
        mine = {"filters": self.filters, "activation": self.activation, "initializer": self.initializer}
        return {**super().config(), **mine}
