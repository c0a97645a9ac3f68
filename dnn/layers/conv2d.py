"""Conv2D: a small Dense on every window of an image."""

from backends import Backend
from dnn.layers.dense import Affine
from dnn.layers.layer import Array, Shape
from dnn.layers.windows import Lengths, Windows
from dnn.validation.settings import positive_integer


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
    ) -> None:
        super().__init__("kernel_size", kernel_size, strides, padding, name)
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
