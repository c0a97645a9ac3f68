"""Activated: base of layers that end in an activation. Activation: a layer that is only an activation."""

from dataclasses import field
from types import SimpleNamespace
from typing import Annotated

from backends import Array, Backend
from backends.reference import ACTIVATIONS
from dnn.layers.layer import Layer
from dnn.settings.checks import one_of

ActivationName = Annotated[str, one_of(ACTIVATIONS)]


class Activated(Layer):
    """Base: ``y = f(z)``; the setting ``activation`` names f.

    The last layer of a network returns z, and the network applies f. A class with its own ``forward`` applies
    f itself, unless it says that the method ends in ``activate``.
    """

    ends_in_activate = False

    def prepare(self, backend: Backend) -> None:
        self._applied = self.activation

    def hand_over_activation(self) -> str:
        owner = next(c for c in type(self).__mro__ if "forward" in vars(c))
        if not vars(owner).get("ends_in_activate"):
            return "linear"
        self._applied = "linear"
        return self.activation

    @property
    def applied(self) -> str:
        """Name of the activation that the layer itself applies: f, or "linear" after the hand-over."""
        return self._applied

    def activate(self, buffers: SimpleNamespace) -> Array:
        """Return y = f(z), which is stored, given the stored z; z itself if f is not applied."""
        if self._applied == "linear":
            return buffers.z
        self.backend.kernels.activation(self._applied, buffers.z, buffers.y)
        return buffers.y

    def differentiate(self, buffers: SimpleNamespace, dy: Array) -> None:
        """Overwrite dy by dz = f'(z) dy."""
        if self._applied != "linear":
            self.backend.kernels.activation_backward(self._applied, dy, buffers.z, buffers.y, dy)


class Activation(Activated):
    """``y = f(x)``, with f by its name in ``backends.reference.ACTIVATIONS``; that module has the formulas.

    >>> Activation("gelu").config()
    {'name': '', 'activation': 'gelu', 'trainable': True}
    """

    activation: ActivationName = field()

    examples = ({"activation": "relu"},)
    buffers = ("y",)
    ends_in_activate = True

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(x); stores x and y."""
        buffers = self._buffers(x)
        buffers.z = x
        return self.activate(buffers)

    def backward(self, dy: Array) -> Array:
        """dx = f'(x) dy."""
        self.differentiate(self._buffers(dy), dy)
        return dy
