"""Conv2D and Conv1D: a small Dense on each window of an image; and Windows, the base of pooling too.

Images are (H, W, C), channels last as in Keras. So the last axis holds the features in every layer (Dense,
normalisation, softmax, bias), one kernel serves vectors and images, and the pixels of a window are copied
into rows of a matrix in memory order. Sequences (T, C) are images with one row.
"""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY
from functools import partial
from typing import Annotated, Any, ClassVar

from backends import Array, InputError
from backends.errors import short_repr
from backends.reference.windows import Pair
from dnn.layers.activated import ActivationName
from dnn.layers.dense import Affine
from dnn.layers.layer import DeviceArrays, Layer, Shape
from dnn.settings.checks import Count, natural_number, one_of, or_none, positive_integer

EXPECTED_IMAGES = "images (H, W, C), channels last; put Reshape((H, W, C)) before it, (28, 28, 1) for MNIST"
EXPECTED_SEQUENCES = "sequences (T, C); put Reshape((T, C)) before it"


def _split(value: Any) -> Sequence[Any]:
    """Return a value for each of two axes, or two sides, given a pair or one value for both."""
    return value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)


def _pair(argument: str, value: Any, check: Callable[[str, Any], int] = positive_integer) -> Pair:
    """Return a checked length for each of two axes, or sides. Raises InputError."""
    first, second = (check(argument, n) for n in _split(value))
    return first, second


def _border(argument: str, value: Any, *, two_axes: bool) -> Any:
    """Return a padding: a name, or its width on both sides of each axis. Raises InputError."""
    if isinstance(value, str):
        return one_of(("valid", "same"))(argument, value)
    axes = _split(value) if two_axes else (value,)
    sides = tuple(_pair(argument, axis, natural_number) for axis in axes)
    if not any(map(any, sides)):
        return "valid"
    return sides if two_axes else sides[0]


AxisLengths = Annotated[int | Sequence[int], _pair]
Strides = Annotated[int | Sequence[int] | None, or_none(_pair)]
Border = Annotated[str | int | Sequence[int | Sequence[int]], partial(_border, two_axes=True)]
SequenceBorder = Annotated[str | int | Sequence[int], partial(_border, two_axes=False)]


class Windows(Layer):
    """Base of layers with windows: positions of the windows, and padding.

    Window (p, q) begins at row p s - top and column q t - left, for strides (s, t). Rows and columns that do
    not fill a window at the lower or right edge are ignored.

    Padding is one of:

    - "valid": no border.
    - "same": a border of zeros, so that ceil(H / s) windows fit. The larger half is below and right, as in
      Keras (and in torch for strides 1).
    - a number, or a pair (rows, columns): width of the border on both sides, as in torch.
    - a pair of pairs: ((top, bottom), (left, right)).
    """

    _: KW_ONLY
    padding: Border = "valid"
    strides: Strides = None  # None: the size

    # Derived from the settings; for both axes of an image.
    size = stride_pair = spacing = (1, 1)  # window, strides, dilation
    borders = counted_borders = ((0, 0), (0, 0))  # around an image; the latter without those of ``ceil_mode``

    axes = 2  # that a window moves along; 1: of sequences (T, C), which are images with one row
    size_name: ClassVar[str]  # name of the setting with the size of a window
    dilation: ClassVar[int | Sequence[int]] = 1
    ceil_mode = False  # whether incomplete windows at the lower and right edge count

    def __post_init__(self) -> None:
        """Derive the geometry. Raises InputError: padding that is as large as a window."""
        super().__post_init__()
        size = getattr(self, self.size_name)
        self.complete("strides", size)
        self.size, self.stride_pair, self.spacing = map(self.both_axes, (size, self.strides, self.dilation))
        self._reach = tuple((k - 1) * d + 1 for k, d in zip(self.size, self.spacing, strict=True))
        width = 0 if isinstance(self.padding, str) else self.padding
        self._sides = [_split(side) for side in self.both_axes(width, 0)]
        if any(max(p) >= n for p, n in zip(self._sides, self._reach, strict=True)):
            expected = f"less than {self.size_name} {self.size}, or a window could lie outside the image"
            raise InputError(f"padding is {short_repr(self.padding)}", expected)

    def both_axes(self, value: Any, other: int = 1) -> Any:
        """Return the pair (rows, columns) for a setting. Sequences have ``other`` in place of rows."""
        return _split(value) if self.axes == 2 else (other, value)

    def shape_after(self, input_shape: Shape) -> Shape:
        expected = EXPECTED_IMAGES if self.axes == 2 else EXPECTED_SEQUENCES
        self.require_axes(input_shape, expected, self.axes + 1)
        height, width, channels = (1, *input_shape)[-3:]
        borders = []
        counted = []
        counts = []
        geometry = (height, width), self._reach, self.stride_pair, self._sides
        for n, k, s, (before, after) in zip(*geometry, strict=True):
            if self.padding == "same":
                border = max((-(-n // s) - 1) * s + k - n, 0)
                before = border // 2
                after = border - before
            counted.append((before, after))
            spare = n + before + after - k
            count = spare // s + 1
            if self.ceil_mode and spare % s and count * s < n + before:  # it begins inside the image
                after += count * s - spare
                count += 1
            if count < 1:
                expected = f"at least its {self.size_name} {self.size}"
                cure = 'use a smaller window, padding="same", larger images, or fewer layers that shrink'
                raise self.input_error(f"got images of {(height, width)} pixels", f"{expected}; {cure}")
            borders.append((before, after))
            counts.append(count)
        self.store("borders", tuple(borders))
        self.store("counted_borders", tuple(counted))
        return (*counts[-self.axes :], self.channels_after(channels))

    def channels_after(self, channels: int) -> int:
        """Return the number of output channels."""
        return channels

    def images(self, x: Array) -> Array:
        """Return a view of x as images (B, H, W, C), which the kernels take."""
        return x if self.axes == 2 else x[:, None, ...]


class Convolution(Windows, Affine):
    """Base of Conv2D and Conv1D: a small Dense on each window."""

    filters: Count
    kernel_size: AxisLengths
    activation: ActivationName = "linear"
    _: KW_ONLY
    strides: AxisLengths = 1

    size_name = "kernel_size"
    groups = 1
    ends_in_activate = True

    def channels_after(self, channels: int) -> int:
        if channels % self.groups or self.filters % self.groups:
            got = f"{channels} channels and {self.filters} filters in {self.groups} groups"
            raise InputError(f"layer {self.name!r} has {got}", "multiples of groups")
        return self.filters

    def weight_shape(self) -> Shape:
        return (*self.size, self.input_shape[-1] // self.groups, self.filters)

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Return y = f(z), with z a small Dense on each window; stores x, y and z."""
        buffers = self._buffers(x)
        buffers.x = x
        z = self.images(buffers.z)
        self.backend.kernels.conv2d(
            self.images(x), self._W, self._b, self.stride_pair, self.borders, self.spacing, z
        )
        return self.activate(buffers)

    def backward(self, dy: Array) -> Array | None:
        """Compute the gradients as Dense does, for each window; see the kernel."""
        buffers = self._buffers(dy)
        self.differentiate(buffers, dy)
        dx = None if buffers.dx is None else self.images(buffers.dx)
        arrays = self.images(dy), self.images(buffers.x), self._W
        gradients = self._dW, self._db, dx
        self.backend.kernels.conv2d_backward(*arrays, self.stride_pair, self.borders, self.spacing, gradients)
        return buffers.dx


class Conv2D(Convolution):
    """``y_pq = f(sum_ij x_(p s + i - top)(q t + j - left) W_ij + b)``: a small Dense on each window.

    Args:
        filters: n_out, channels of the output.
        kernel_size: (h, w) of a window, or one number for both.
        activation: f, as in Dense.
        strides: distance between windows.
        padding: "valid", "same", or the width of a border in pixels; see ``Windows``.
        dilation: distance between pixels of a window.
        groups: number of groups of channels and filters, each with its own weights; W is then
            (h, w, n_in / groups, n_out). With one group per channel it is a depthwise convolution.
        use_bias, initializer: as in Dense; W is (h, w, n_in, n_out).

    >>> Conv2D(8, 3, "relu", padding="same").shape_after((28, 28, 1))
    (28, 28, 8)
    """

    _: KW_ONLY
    dilation: AxisLengths = 1  # type: ignore[misc]
    groups: Count = 1

    examples = (
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": 3, "strides": (2, 1), "padding": "same"},
        {"filters": 6, "kernel_size": 3, "padding": ((2, 0), (0, 1)), "use_bias": False},
        {"filters": 6, "kernel_size": 3, "strides": 2, "padding": 1, "dilation": (1, 2), "groups": 2},
    )


class Conv1D(Convolution):
    """Conv2D for sequences (T, C): ``y_p = f(sum_i x_(p s + i - left) W_i + b)``.

    Args:
        padding: "valid", "same", the width of a border on both sides, or (left, right).
        kernel_size, strides: one number each; W is (k, n_in, n_out). For other arguments see Conv2D.

    >>> Conv1D(8, 3, padding=(2, 0)).shape_after((50, 4))
    (50, 8)
    """

    kernel_size: Count
    _: KW_ONLY
    padding: SequenceBorder = "valid"
    strides: Count = 1

    axes = 1
    examples = (
        {"filters": 6, "kernel_size": 3},
        {"filters": 6, "kernel_size": 4, "strides": 2, "padding": "same"},
    )

    def weight_shape(self) -> Shape:
        return super().weight_shape()[1:]

    def attach(self, value: DeviceArrays, gradient: DeviceArrays) -> None:
        super().attach(value, gradient)
        self._W = self._W[None, ...]
        self._dW = self._dW[None, ...]
