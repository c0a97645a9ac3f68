"""Modules that torch.nn lacks. Importing this file imports torch."""

import torch

from backends.torch.images import needed_pixels


class Scale(torch.nn.Module):  # type: ignore[misc]
    """scale x + offset."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale = scale
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


class Parallel(torch.nn.Sequential):  # type: ignore[misc]
    """Apply modules to the same input, and concatenate their outputs along an axis or add them."""

    def __init__(self, merge: str, axis: int = -1) -> None:
        super().__init__()
        self.merge = merge
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = [module(x) for module in self]
        return sum(made) if self.merge == "add" else torch.cat(made, self.axis)


class Residual(Parallel):
    """Add the outputs of a shortcut and of a block."""


class Branch(torch.nn.Sequential):  # type: ignore[misc]
    """A branch of a Parallel: a layer followed by its activation, a separate module in torch."""


class Embedding(torch.nn.Embedding):  # type: ignore[misc]
    """torch's Embedding for integers in any dtype."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.long())


class ChannelsLast(torch.nn.Module):  # type: ignore[misc]
    """Apply a torch.nn module for (B, C, H, W) to our images (B, H, W, C), or to sequences (B, L, C).

    The input is not copied: transposed to (B, C, H, W), our images have torch's memory format channels_last.
    """

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = x.movedim(-1, 1)
        is_conv = isinstance(self.inner, torch.nn.Conv2d) and self.inner.padding_mode == "zeros"
        return (_convolve(self.inner, images) if is_conv else self.inner(images)).movedim(1, -1)


def _convolve(conv: torch.nn.Conv2d, images: torch.Tensor) -> torch.Tensor:
    """Return conv(images), avoiding the strides for which oneDNN fails; see ``needed_pixels``."""
    border = (0, 0) if isinstance(conv.padding, str) else conv.padding  # "same" has strides of 1
    windows = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(
            images.shape[2:], border, conv.dilation, conv.kernel_size, conv.stride, strict=True
        )
    )
    needed, strides = needed_pixels(conv.kernel_size, conv.stride, conv.dilation, windows)
    if strides == conv.stride:
        return conv(images)
    rows, columns = border
    wide = torch.nn.functional.pad(images, (columns, columns, rows, rows))
    pixels = wide[:, :, *needed]
    return torch.conv2d(pixels, conv.weight, conv.bias, strides, (0, 0), conv.dilation, conv.groups)
