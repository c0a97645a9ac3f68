"""Windows that slide over images: Conv2D is a small Dense on each, the poolings make one number of each.

Images are (H, W, C), channels last as in Keras. The last axis then is the one of features everywhere (Dense,
normalisation, softmax, bias), one kernel serves vectors and images, and a window's pixels unfold into
rows of a matrix as they lie in memory.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from backends import Backend, InputError
from backends.errors import shown
from backends.reference.windows import Padding, Pair
from dnn.layers.dense import Affine
from dnn.layers.layer import Array, Layer, Shape
from dnn.validation.settings import look_up, positive_integer

PADDINGS = ("valid", "same")
Lengths = int | Sequence[int]


def _pair(argument: str, value: Any, zero: bool = False) -> Pair:
    """A length for both axes, or one for each; 0 too where that is allowed."""
    lengths = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    first, second = (0 if zero and n == 0 else positive_integer(argument, n) for n in lengths)
    return first, second


class Windows(Layer):
    """Base: where the windows lie.

    Window (p, q) begins at row p s - top and column q t - left. "valid": no border; "same": a border of
    zeros so that ceil(H / s) windows fit, the larger half below and right (as in Keras, and for strides 1
    as in torch); a number or a pair: so much on both sides (as in torch). What does not fill a window at
    the lower or right edge is not seen.
    """

    def __init__(
        self, size_name: str, size: Lengths, strides: Lengths, padding: str | Lengths, name: str | None
    ) -> None:
        super().__init__(name)
        self._size_name = size_name
        self.size = _pair(size_name, size)
        self.strides = _pair("strides", strides)
        self.borders: Padding = ((0, 0), (0, 0))
        self.padding: str | Pair
        if isinstance(padding, str):
            look_up("padding", padding, dict.fromkeys(PADDINGS))
            self.padding = padding
            return
        pair = _pair("padding", padding, zero=True)
        self.padding = pair if any(pair) else "valid"
        if any(p >= n for p, n in zip(pair, self.size, strict=True)):
            raise InputError(
                f"padding is {shown(padding)}, expected less than {size_name} {self.size}, or windows would "
                f"see nothing of the image"
            )

    def shape_after(self, input_shape: Shape) -> Shape:
        where = f"layer {self.name!r} ({type(self).__name__})"
        if len(input_shape) != 3:
            raise InputError(
                f"{where} got examples of shape {input_shape}, expected images "
                f"(H, W, C), channels last; put Reshape((H, W, C)) before it, (28, 28, 1) for MNIST"
            )
        borders, counts = [], []
        for axis, (n, k, s) in enumerate(zip(input_shape[:2], self.size, self.strides, strict=True)):
            before = after = 0
            if self.padding == "same":
                border = max((-(-n // s) - 1) * s + k - n, 0)
                before, after = border // 2, border - border // 2
            elif self.padding != "valid":
                before = after = int(self.padding[axis])
            count = (n + before + after - k) // s + 1
            if count < 1:
                raise InputError(
                    f"{where} got images of {input_shape[0]} x {input_shape[1]} pixels, "
                    f"expected at least its {self._size_name} {self.size}; take a smaller {self._size_name}, "
                    f'padding="same", or fewer layers that shrink the image before it'
                )
            borders.append((before, after))
            counts.append(count)
        self.borders = (borders[0], borders[1])
        return (*counts, self.channels_after(input_shape[2]))

    def channels_after(self, channels: int) -> int:
        """Channels of the output."""
        return channels


class Conv2D(Windows, Affine):
    """``y_pq = f(sum_ij x_(p s + i - top)(q t + j - left) W_ij + b)``: a small Dense on each window.

    Args:
        filters: n_out, channels of the output.
        kernel_size: (h, w) of a window, or one number for both.
        activation: f, as in Dense.
        strides: from one window to the next.
        padding: "valid", "same", or pixels of border; see ``Windows``.
        initializer: of W (h, w, n_in, n_out), as in Dense; b starts at 0.

    >>> Conv2D(8, 3, "relu", padding="same").shape_after((28, 28, 1))
    (28, 28, 8)
    """

    examples = (
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": 3, "strides": (2, 1), "padding": "same"},
    )

    def __init__(
        self,
        filters: int,
        kernel_size: Lengths,
        activation: str = "linear",
        *,
        strides: Lengths = 1,
        padding: str | Lengths = "valid",
        initializer: str | None = None,
        name: str | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__("kernel_size", kernel_size, strides, padding, name)
        self.trainable = trainable
        self.kernel_size = self.size
        self.filters = positive_integer("filters", filters)
        self.choose(activation, initializer)

    def channels_after(self, channels: int) -> int:
        return self.filters

    def bind(self, backend: Backend) -> None:
        super().bind(backend)
        self._conv = backend.kernel("conv2d")
        self._conv_backward = backend.kernel("conv2d_backward")

    def parameter_shapes(self) -> dict[str, Shape]:
        return {"W": (*self.size, self.input_shape[2], self.filters), "b": (self.filters,)}

    def forward_logits(self, x: Array, *, training: bool) -> Array:
        """z, a small Dense on each window; keeps x."""
        keep = self._buffers[x.shape[0]]
        keep.x = x
        self._conv(x, self.value["W"], self.value["b"], self.strides, self.borders, keep.z)
        return keep.z

    def backward_logits(self, dz: Array) -> Array | None:
        """From dL/dz as in Dense for each window; see the kernel."""
        keep = self._buffers[dz.shape[0]]
        W, dW, db = self.value["W"], self.gradient["W"], self.gradient["b"]
        self._conv_backward(dz, keep.x, W, self.strides, self.borders, (dW, db, keep.dx))
        return keep.dx


class Pooling(Windows):
    """Base of the two poolings.

    Args:
        pool_size: (h, w) of a window, or one number for both.
        strides: from one window to the next; None: pool_size, so that windows lie side by side.
        padding: "valid", "same", or pixels of border, which do not count; see ``Windows``.
    """

    kernel: ClassVar[str]

    def __init__(
        self,
        pool_size: Lengths = 2,
        *,
        strides: Lengths | None = None,
        padding: str | Lengths = "valid",
        name: str | None = None,
    ) -> None:
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
        self._pool(x, self.size, self.strides, self.borders, y, *self.between(x.shape[0]))
        return y

    def backward(self, dy: Array) -> Array | None:
        """dx, as the class says."""
        dx = self._buffers[dy.shape[0]].dx
        if dx is not None:
            between = self.between(dy.shape[0])
            self._pool_backward(dy, *between, self.size, self.strides, self.borders, dx)
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
