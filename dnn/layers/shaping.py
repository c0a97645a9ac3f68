"""Flatten, Reshape and Rescaling: the same numbers in another shape, nothing copied, or in another range."""

from collections.abc import Sequence
from dataclasses import field
from math import prod

from backends import Array
from dnn.layers.layer import Layer, Shape
from dnn.validation.settings import Finite, assign, is_integer, positive_integer, require


class Reshape(Layer):
    """Each example in another shape, row by row; one length may be -1 and follows from the others.

    >>> Reshape((28, 28, 1)).shape_after((784,))
    (28, 28, 1)
    """

    target_shape: Sequence[int]

    examples = ({"target_shape": (4, 6)},)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.target_shape
        expected = "a tuple of lengths such as (28, 28, 1), at most one of them -1"
        require(isinstance(given, (tuple, list)), "target_shape", given, expected)
        free = [is_integer(n) and n == -1 for n in given]
        require(sum(free) <= 1, "target_shape", given, expected)
        lengths = (-1 if f else positive_integer("target_shape", n) for n, f in zip(given, free, strict=True))
        assign(self, target_shape=tuple(lengths))

    def shape_after(self, input_shape: Shape) -> Shape:
        count = prod(input_shape)
        known = prod(n for n in self.target_shape if n != -1)
        shape = tuple(count // known if n == -1 else n for n in self.target_shape)
        if prod(shape) != count:
            got = f"got examples of shape {input_shape}, {count} numbers"
            raise self.input_error(got, f"as many as in {self.target_shape}; change target_shape")
        return shape

    def forward(self, x: Array, *, training: bool) -> Array:
        return self.backend.xp.reshape(x, (x.shape[0], *self.output_shape))

    def backward(self, dy: Array) -> Array | None:
        """The same numbers in the input's shape."""
        return None if self._first else self.backend.xp.reshape(dy, (dy.shape[0], *self.input_shape))


class Flatten(Reshape):
    """Each example as one axis: images (H, W, C) row by row, for the Dense layers after them.

    >>> Flatten().shape_after((4, 4, 8))
    (128,)
    """

    target_shape: Sequence[int] = field(default=(-1,), init=False)

    examples = ({},)


class Rescaling(Layer):
    """y = scale x + offset (finite), as in Keras. ``Rescaling(1 / 255)`` takes pixels 0 to 255 to [0, 1].

    As the first layer, without an offset, it costs nothing: each batch is multiplied while it is picked, and
    images stay uint8 on the device. Then ``Network.forward`` takes batches that are multiplied already, and
    the model has the same initial weights as without it.

    >>> Rescaling(1 / 255).shape_after((784,))
    (784,)
    """

    scale: Finite
    offset: Finite = 0.0

    examples = ({"scale": 0.5}, {"scale": 0.5, "offset": -1.0})

    def __post_init__(self) -> None:
        super().__post_init__()
        assign(self, factor=self.scale if self.offset == 0.0 else None)

    def forward(self, x: Array, *, training: bool) -> Array:
        return x * self.scale + self.offset

    def backward(self, dy: Array) -> Array | None:
        """dx = scale dy."""
        return None if self._first else dy * self.scale
