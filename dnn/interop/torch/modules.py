"""Modules that torch.nn lacks; imported only where torch is."""

import torch


class GlobalAverage(torch.nn.Module):  # type: ignore[misc]
    """The mean of each channel over the whole image, (B, H, W, C) -> (B, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2))


class Scale(torch.nn.Module):  # type: ignore[misc]
    """scale x + offset."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


class ChannelsLast(torch.nn.Module):  # type: ignore[misc]
    """A module of torch.nn for images (B, C, H, W), for ours, which are (B, H, W, C).

    Nothing is copied on the way in: seen as (B, C, H, W), our images lie in the order that torch names
    channels_last.
    """

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
