"""Activated: base of layers that end in an activation. Activation: a layer that is only an activation."""

from dataclasses import field
from typing import Annotated

from backends import Array
from backends.reference import ACTIVATIONS
from dnn.layers.layer import Layer
from dnn.validation.settings import one_of

ActivationName = Annotated[str, one_of(ACTIVATIONS)]


class Activated(Layer):
    """Base: ``y = f(z)``. ``forward_logits`` computes z, and the setting ``activation`` names f."""

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(z); stores z and y."""
        buffers = self._buffers[x.shape[0]]
        buffers.z = self.forward_logits(x, training=training)
        if self.activation == "linear":
            return buffers.z
        self.backend.kernels.activation(self.activation, buffers.z, buffers.y)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """Compute dz = f'(z) dy, and pass it to ``backward_logits``."""
        buffers = self._buffers[dy.shape[0]]
        if self.activation != "linear":
            kernels = self.backend.kernels
            kernels.activation_backward(self.activation, dy, buffers.z, buffers.y, dy)
        return self.backward_logits(dy)


class Activation(Activated):
    """``y = f(x)``, with f by its name in ``backends.reference.ACTIVATIONS``; that module has the formulas.

    >>> Activation("gelu").config()
    {'name': '', 'activation': 'gelu', 'trainable': True}
    """

    activation: ActivationName = field()

    examples = ({"activation": "relu"},)
    buffers = ("y",)

    def forward_logits(self, x: Array, *, training: bool = False) -> Array:
        return x

    def backward_logits(self, dz: Array) -> Array | None:
        return None if self._first else dz
