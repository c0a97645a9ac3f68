"""Activation: a function of each number, as a layer of its own."""

from __future__ import annotations

from typing import Any

from backends import Backend
from backends.reference import ACTIVATIONS
from dnn.layers.layer import Array, Layer, Shape
from dnn.validation.settings import look_up


class Activation(Layer):
    """``y = f(x)``.

    Args:
        activation: f: "linear", "sigmoid", "tanh", "relu", "softmax" (along the last axis),
            "leaky_relu" (slope 0.01 below 0), "elu" (alpha 1), "gelu" (the tanh form; torch's
            approximate="tanh") or "softplus".
        name: None: "activation_1", ...

    Raises:
        InputError: an unknown activation.

    >>> Activation("gelu").config()
    {'name': '', 'activation': 'gelu'}
    """

    def __init__(self, activation: str, *, name: str | None = None) -> None:
        super().__init__(name)
        look_up("activation", activation, dict.fromkeys(ACTIVATIONS))
        self.activation = activation  # type: ignore[misc]

    def shape_after(self, input_shape: Shape) -> Shape:
        return input_shape

    def bind(self, backend: Backend) -> None:
        self._activate = backend.kernel("activation", self.activation)
        self._activate_backward = backend.kernel("activation_backward", self.activation)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        return {"y": self.backend.zeros((batch, *self.output_shape))}

    def forward(self, x: Array, *, training: bool) -> Array:
        """y = f(x); keeps x and y."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        self._activate(x, keep.y)
        return keep.y

    def backward(self, dy: Array) -> Array | None:
        """dx = f'(x) dy."""
        if self._first:
            return None
        keep = self._buffers[dy.shape[0]]
        self._activate_backward(dy, keep.x, keep.y, dy)
        return dy

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        """x itself."""
        return x

    def backward_logits(self, dz: Array) -> Array | None:
        """dz itself."""
        return None if self._first else dz

    def config(self) -> dict[str, Any]:
        return {"name": self.name, "activation": self.activation}
