"""Activated: base of layers that end in an activation. Activation: a layer that is only an activation."""

from dataclasses import field
from types import SimpleNamespace
from typing import Annotated

from backends import Array
from backends.reference import ACTIVATIONS
from dnn.layers.layer import Layer
from dnn.validation.settings import one_of

ActivationName = Annotated[str, one_of(ACTIVATIONS)]


class Activated(Layer):
    """Base: ``y = f(z)``; the setting ``activation`` names f.

    In the last layer of a model ``forward`` returns z; the model applies f, unless the loss contains it. A
    class outside dnn with its own ``forward`` leaves f out only if the loss contains it.
    """

    _leaves_out = False

    @property
    def applied(self) -> str:
        """Name of the activation that the layer itself applies: f, or "linear" if it leaves f out."""
        return "linear" if self._leaves_out else self.activation

    def leave_out_activation(self, needed: bool) -> bool:
        is_ours = type(self).forward.__module__.startswith("dnn.")
        self._leaves_out = is_ours or needed
        if needed and not is_ours:  # one example shows whether the layer applies f nevertheless
            self.reserve(1, training=False)
            xp = self.backend.xp
            x = xp.ones((1, *self.input_shape), dtype=self.backend.dtype, device=self.backend.device)
            z = xp.asarray(self.forward(x, training=False), copy=True)
            self._leaves_out = False
            self._leaves_out = bool(xp.any(z != self.forward(x, training=False)))
        return self._leaves_out

    def activate(self, buffers: SimpleNamespace) -> Array:
        """Return y = f(z), which is stored, given the stored z; z itself if f is not applied."""
        if self.applied == "linear":
            return buffers.z
        self.backend.kernels.activation(self.applied, buffers.z, buffers.y)
        return buffers.y

    def differentiate(self, buffers: SimpleNamespace, dy: Array) -> None:
        """Overwrite dy by dz = f'(z) dy."""
        if self.applied != "linear":
            self.backend.kernels.activation_backward(self.applied, dy, buffers.z, buffers.y, dy)


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
