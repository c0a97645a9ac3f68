"""Embedding: a trained vector for each category, such as a word."""

from backends import Array
from dnn.layers.layer import Layer, Shape
from dnn.random import Key, host_uniform
from dnn.settings.checks import Count, require
from dnn.typing import HostArrays

MAX_CATEGORIES = 2**24  # examples arrive as float32, which cannot represent larger odd integers


class Embedding(Layer):
    """Row W_k of a table for each integer k: (T,) -> (T, output_dim).

    It must be the first layer. Examples are then integers in [0, input_dim) of any dtype; uint8 is not
    rescaled.

    Args:
        input_dim: number of rows, at most MAX_CATEGORIES.
        output_dim: length of a row. Initial values are uniform in [-0.05, 0.05], as in Keras.

    >>> Embedding(1000, 16).shape_after((30,))
    (30, 16)
    """

    input_dim: Count
    output_dim: Count

    examples = ({"input_dim": 20, "output_dim": 4},)
    must_precede_trained = True
    buffers = ("y",)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.input_dim <= MAX_CATEGORIES, "input_dim", self.input_dim, f"at most {MAX_CATEGORIES}")
        self.n_categories = self.input_dim

    def shape_after(self, input_shape: Shape) -> Shape:
        return (*input_shape, self.output_dim)

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"W": (self.input_dim, self.output_dim)}

    def initial_values(self, key: Key) -> HostArrays:
        return {"W": 0.1 * host_uniform(key, (self.input_dim, self.output_dim)) - 0.05}

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y_t = W_(x_t); stores x as integers."""
        buffers = self._buffers(x)
        xp = self.backend.xp
        buffers.index = xp.astype(xp.reshape(x, (-1,)), xp.int64)
        rows = self.backend.view(buffers.y, (-1, self.output_dim))
        self.backend.kernels.gather_rows(self.value["W"], buffers.index, rows, 1.0)
        return buffers.y

    def backward(self, dy: Array) -> Array | None:
        """dW_k = sum of dy_t over all t with x_t = k; integers have no gradient."""
        index = self._buffers(dy).index
        rows = self.backend.xp.reshape(dy, (-1, self.output_dim))
        self.backend.kernels.scatter_rows(rows, index, self.gradient["W"])
        return None
