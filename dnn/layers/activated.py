"""Activated: base of layers that end in an activation. Activation: a layer that is only an activation."""

from dataclasses import field
from types import SimpleNamespace
from typing import Annotated

from backends import Array, Backend
from backends.reference import ACTIVATIONS
from dnn.layers.layer import Layer
from dnn.validation.settings import one_of

ActivationName = Annotated[str, one_of(ACTIVATIONS)]


class Activated(Layer):
    """Base: ``y = f(z)``; the setting ``activation`` names f.

    In the last layer of a model ``forward`` returns z; the model applies f, unless the loss contains it. A
    class outside dnn with its own ``forward`` leaves f out only if the loss contains it.
    """

    def bind(self, backend: Backend) -> None:
        self._apply(self.activation)

    def _apply(self, name: str) -> None:
        """Apply the activation of this name from now on: f, or "linear" if f is left out."""
        self._applied = name
        self._needs_z = not ACTIVATIONS[name].from_output

    def leave_out_activation(self, needed: bool) -> bool:
        is_ours = type(self).forward.__module__.startswith("dnn.")
        self._apply("linear" if is_ours or needed else self.activation)
        if needed and not is_ours:  # one example shows whether the layer applies f nevertheless
            self.reserve(1, training=False)
            xp = self.backend.xp
            x = xp.ones((1, *self.input_shape), dtype=self.backend.dtype, device=self.backend.device)
            z = xp.asarray(self.forward(x, training=False), copy=True)
            self._apply(self.activation)
            if bool(xp.any(z != self.forward(x, training=False))):
                self._apply("linear")
        return self._applied != self.activation

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

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(x); stores x and y."""
        buffers = self._buffers[x.shape[0]]
        buffers.z = x
        return self.activate(buffers)

    def backward(self, dy: Array) -> Array:
        """dx = f'(x) dy."""
        self.differentiate(self._buffers[dy.shape[0]], dy)
        return dy
