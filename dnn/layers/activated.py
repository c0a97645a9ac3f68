"""Activated: base of layers that end in an activation. Activation: a layer that is only an activation."""

from dataclasses import field
from types import SimpleNamespace
from typing import Annotated

from backends import Array
from backends.reference import ACTIVATIONS
from dnn.keras_names import ALIASES
from dnn.layers.layer import Layer
from dnn.validation.settings import one_of

ActivationName = Annotated[str, one_of(ACTIVATIONS, ALIASES["activation"])]


class Activated(Layer):
    """Base: ``y = f(z)``; the setting ``activation`` names f.

    The last layer of a model returns z, and the model applies f. A subclass that overrides ``forward`` calls
    the inherited one, or applies f only if ``own_activation`` names it.
    """

    _leaves_out = False

    @property
    def own_activation(self) -> str:
        """Name of the activation that the layer itself applies: f, or "linear" in the last layer."""
        return "linear" if self._leaves_out else self.activation

    def leave_out_activation(self) -> str:
        self._leaves_out = True
        return self.activation

    def activate(self, buffers: SimpleNamespace) -> Array:
        """Return y = f(z), which is stored, given the stored z; z itself if f is not applied."""
        if self.own_activation == "linear":
            return buffers.z
        self.backend.kernels.activation(self.own_activation, buffers.z, buffers.y)
        return buffers.y

    def differentiate(self, buffers: SimpleNamespace, dy: Array) -> None:
        """Overwrite dy by dz = f'(z) dy."""
        if self.own_activation != "linear":
            self.backend.kernels.activation_backward(self.own_activation, dy, buffers.z, buffers.y, dy)


class Activation(Activated):
    """``y = f(x)``, with f by its name in ``backends.reference.ACTIVATIONS``; that module has the formulas.

    >>> Activation("gelu").config()
    {'name': '', 'activation': 'gelu', 'trainable': True}
    """

    activation: ActivationName = field()

    examples = ({"activation": "relu"},)
    buffers = ("y",)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(x); stores x and y."""
        buffers = self._buffers[x.shape[0]]
        buffers.z = x
        return self.activate(buffers)

    def backward(self, dy: Array) -> Array | None:
        """dx = f'(x) dy."""
        self.differentiate(self._buffers[dy.shape[0]], dy)
        return None if self._first else dy
