"""Windows that slide over images: what Conv2D and the poolings share.

Images are (H, W, C), channels last as in Keras. The last axis then is the one of features everywhere (Dense,
normalisation, softmax, bias), one kernel serves vectors and images, and a window's pixels unfold into
rows of a matrix as they lie in memory.
"""

from collections.abc import Sequence
from typing import Any

from backends import InputError
from backends.errors import shown
from backends.reference.windows import Padding, Pair
from dnn.layers.layer import Layer, Shape
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
        self.borders: Padding = (borders[0], borders[1])
        return (*counts, self.channels_after(input_shape[2]))

    def channels_after(self, channels: int) -> int:
        """Channels of the output."""
        return channels
