"""Flatten and Reshape: the same numbers in another shape, not copied. Rescaling: another range."""

from collections.abc import Sequence
from dataclasses import field
from math import prod

from backends import Array
from dnn.layers.layer import Layer, Shape
from dnn.validation.settings import Finite, Lengths


class Reshape(Layer):
    """Each example in another shape, in C order.

    >>> Reshape((28, 28, 1)).shape_after((784,))
    (28, 28, 1)
    """

    target_shape: Lengths

    examples = ({"target_shape": (4, 6)},)

    def shape_after(self, input_shape: Shape) -> Shape:
        shape = tuple(self.target_shape)
        if prod(shape) != prod(input_shape):
            got = f"got examples of shape {input_shape}, {prod(input_shape)} numbers"
            raise self.input_error(got, f"the number in {shape}; change target_shape")
        return shape

    def forward(self, x: Array, *, training: bool = False) -> Array:
        return self.backend.xp.reshape(x, (x.shape[0], *self.output_shape))

    def backward(self, dy: Array) -> Array | None:
        """Return dy in the input's shape."""
        return self.backend.xp.reshape(dy, (dy.shape[0], *self.input_shape)) if self._needs_dx else None


class Flatten(Reshape):
    """Each example as one axis, in C order; for example between convolutions and Dense.

    >>> Flatten().shape_after((4, 4, 8))
    (128,)
    """

    target_shape: Sequence[int] = field(default=(), init=False)

    examples = ({},)

    def shape_after(self, input_shape: Shape) -> Shape:
        return (prod(input_shape),)


class Rescaling(Layer):
    """y = scale x + offset, as in Keras. ``Rescaling(1 / 255)`` maps pixels from 0 to 255 to [0, 1].

    As the first layer, without an offset, it costs nothing: the factor is folded into batch loading, and
    images stay uint8 on the device. Then ``Network.forward`` expects batches that are already multiplied, and
    the initial weights of the model are the same as without this layer.

    Args:
        scale, offset: finite.

    >>> Rescaling(1 / 255).shape_after((784,))
    (784,)
    """

    scale: Finite
    offset: Finite = 0.0

    examples = ({"scale": 0.5}, {"scale": 0.5, "offset": -1.0})

    def forward(self, x: Array, *, training: bool = False) -> Array:
        return x * self.scale + self.offset

    def backward(self, dy: Array) -> Array | None:
        """dx = scale dy."""
        return dy * self.scale if self._needs_dx else None
