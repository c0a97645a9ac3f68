"""Activation: a function of each number, as a layer of its own."""

from dnn.layers.activated import Activated
from dnn.layers.layer import Array


class Activation(Activated):
    """``y = f(x)``, f by its name in ``backends.reference.ACTIVATIONS``, whose module has the formulas.

    >>> Activation("gelu").config()
    {'name': '', 'activation': 'gelu'}
    """

    examples = ({"activation": "relu"},)

    def __init__(self, activation: str, *, name: str | None = None) -> None:
        super().__init__(name)
        self.choose(activation)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        return {"y": self.backend.zeros((batch, *self.output_shape))}

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        """x itself."""
        return x

    def backward_logits(self, dz: Array) -> Array | None:
        """dz itself."""
        return None if self._first else dz
