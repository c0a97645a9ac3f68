"""Rescaling: raw numbers, such as the pixels of an image, in the range in which a network learns well."""

from math import inf

from dnn.layers.layer import Array, Layer
from dnn.validation.settings import require_number


class Rescaling(Layer):
    """y = scale x + offset (finite), as in Keras. ``Rescaling(1 / 255)`` takes pixels 0 to 255 to [0, 1].

    As the first layer, without an offset, it costs nothing: each batch is multiplied while it is picked, and
    images stay uint8 on the device. Then ``Network.forward`` takes batches that are multiplied already, and
    the model has the same initial weights as without it.

    >>> Rescaling(1 / 255).shape_after((784,))
    (784,)
    """

    examples = ({"scale": 0.5}, {"scale": 0.5, "offset": -1.0})

    def __init__(self, scale: float, offset: float = 0.0, *, name: str | None = None) -> None:
        super().__init__(name)
        self.scale = require_number("scale", scale, -inf)
        self.offset = require_number("offset", offset, -inf)
        self.factor = self.scale if self.offset == 0.0 else None

    def forward(self, x: Array, *, training: bool) -> Array:
        """scale x + offset."""
        return x * self.scale + self.offset

    def backward(self, dy: Array) -> Array | None:
        """dx = scale dy."""
        return None if self._first else dy * self.scale
