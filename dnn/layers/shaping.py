"""Flatten and Reshape: the same numbers in another shape, not copied. Rescaling: another range."""

from collections.abc import Sequence
from dataclasses import field
from math import prod
from typing import Annotated, Any

from backends import Array
from dnn.layers.layer import Layer, Shape
from dnn.settings.checks import Finite, positive_integer, require, require_list


def _check_shape(argument: str, value: Any) -> Shape:
    """Return the lengths as a tuple. Raises InputError: not lengths, or more than one is -1."""
    require_list(argument, value)
    lengths = tuple(positive_integer(argument, n, low=-1) for n in value)
    fits = 0 not in lengths and lengths.count(-1) <= 1
    require(fits, argument, value, "a tuple of lengths such as (28, 28, 1), at most one of them -1")
    return lengths


class Reshape(Layer):
    """Each example in another shape, in C order; one length may be -1 and is inferred.

    >>> Reshape((28, 28, 1)).shape_after((784,))
    (28, 28, 1)
    """

    target_shape: Annotated[Sequence[int], _check_shape]

    examples = ({"target_shape": (4, 6)},)

    def shape_after(self, input_shape: Shape) -> Shape:
        count = prod(input_shape)
        known = prod(n for n in self.target_shape if n != -1)
        shape = tuple(count // known if n == -1 else n for n in self.target_shape)
        if prod(shape) != count:
            got = f"got examples of shape {input_shape}, {count} numbers"
            raise self.input_error(got, f"the number in {self.target_shape}; change target_shape")
        return shape

    def forward(self, x: Array, *, training: bool = False) -> Array:
        return self.backend.xp.reshape(x, (x.shape[0], *self.output_shape))

    def backward(self, dy: Array) -> Array:
        """Return dy in the input's shape."""
        return self.backend.xp.reshape(dy, (dy.shape[0], *self.input_shape))


class Flatten(Reshape):
    """Each example as one axis, in C order; for example between convolutions and Dense.

    >>> Flatten().shape_after((4, 4, 8))
    (128,)
    """

    target_shape: Sequence[int] = field(default=(-1,), init=False)

    examples = ({},)


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

    def backward(self, dy: Array) -> Array:
        """dx = scale dy."""
        return dy * self.scale
