"""Pooling: one number of each window's pixels, or of all, channel by channel."""

from typing import ClassVar

from backends import Backend
from dnn.layers.layer import Array, Layer, Shape
from dnn.layers.windows import Border, Lengths, Windows, require_images


class Pooling(Windows):
    """Base of the two poolings.

    Args:
        pool_size: (h, w) of a window, or one number for both.
        strides: from one window to the next; None: pool_size, so that windows lie side by side.
        padding: "valid", "same", or pixels of border, which do not count; see ``Windows``.
    """

    kernel: ClassVar[str]

    def __init__(
        self, pool_size: Lengths = 2, *, strides: Lengths | None = None, padding: Border = "valid",
        name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__("pool_size", pool_size, strides or pool_size, padding, name)
        self.pool_size = self.size

    def bind(self, backend: Backend) -> None:
        self._pool = backend.kernel(self.kernel)
        self._pool_backward = backend.kernel(f"{self.kernel}_backward")

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        y = self.backend.zeros((batch, *self.output_shape))
        return {"y": y, "dx": self.dx_buffer(batch, training)}

    def between(self, batch: int) -> tuple[Array, ...]:
        """What the kernel keeps between forward and backward: nothing."""
        return ()

    def forward(self, x: Array, *, training: bool) -> Array:
        """y, and what is kept."""
        y = self._buffers[x.shape[0]].y
        self._pool(x, self.size, self.steps, self.borders, y, *self.between(x.shape[0]))
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx, as the class says."""
        dx = self._buffers[dy.shape[0]].dx
        if dx is not None:
            between = self.between(dy.shape[0])
            self._pool_backward(dy, *between, self.size, self.steps, self.borders, dx)
        return dx


class MaxPooling2D(Pooling):
    """The largest pixel of each window; arguments as in ``Pooling``.

    dx is dy where the maximum was, summed over windows that share it, and 0 elsewhere.

    >>> MaxPooling2D(2).shape_after((5, 4, 3))
    (2, 2, 3)
    """

    kernel = "max_pool2d"
    examples = ({}, {"pool_size": 3, "strides": 2, "padding": "same"})

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        shape, integers = (batch, *self.output_shape), self.backend.xp.int64
        return {**super().make_buffers(batch, training), "index": self.backend.zeros(shape, dtype=integers)}

    def between(self, batch: int) -> tuple[Array, ...]:
        """Where each maximum was."""
        return (self._buffers[batch].index,)


class AveragePooling2D(Pooling):
    """The mean of each window; arguments as in ``Pooling``.

    Each pixel of a window gets dy divided by their number.

    >>> AveragePooling2D(2, padding="same").shape_after((5, 4, 3))
    (3, 2, 3)
    """

    kernel = "average_pool2d"
    examples = ({}, {"pool_size": 3, "strides": 2, "padding": 1})


class GlobalAveragePooling2D(Layer):
    """The mean of each channel over the whole image: (H, W, C) -> (C,) (Lin et al. 2014); Keras's layer.

    Args:
        name: None: "global_average_pooling2d_1", ...

    >>> GlobalAveragePooling2D().shape_after((7, 7, 64))
    (64,)
    """

    def shape_after(self, input_shape: Shape) -> Shape:
        require_images(self, input_shape)
        return (input_shape[2],)

    def make_buffers(self, batch: int, training: bool) -> dict[str, Array | None]:
        y = self.backend.zeros((batch, *self.output_shape))
        return {"y": y, "dx": self.dx_buffer(batch, training)}

    def forward(self, x: Array, *, training: bool) -> Array:
        """y_c = mean over the pixels of x_pqc; nothing need be kept."""
        y = self._buffers[x.shape[0]].y
        y[...] = self.backend.xp.mean(x, axis=(1, 2))
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx_pqc = dy_c / (H W), the same for every pixel."""
        dx = self._buffers[dy.shape[0]].dx
        if dx is not None:
            dx[...] = dy[:, None, None, :] / (dx.shape[1] * dx.shape[2])
        return dx
