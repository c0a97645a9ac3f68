"""Modules that torch.nn lacks. Importing this file imports torch."""

import torch

from dnn.settings.checks import one_of


class Scale(torch.nn.Module):  # type: ignore[misc]
    """scale x + offset."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale = scale
        self.offset = offset

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale + self.offset


class Parallel(torch.nn.Sequential):  # type: ignore[misc]
    """Apply modules to the same input, and concatenate their outputs along an axis or add them.

    Args:
        branches: modules of torch.nn; an ``nn.Sequential`` is one branch.
        merge: "concatenate" or "add".
        axis: of the concatenation: 1 if images are (B, C, H, W), -1 if they are (B, H, W, C).
    """

    def __init__(self, *branches: torch.nn.Module, merge: str = "concatenate", axis: int = -1) -> None:
        one_of(("concatenate", "add"))("merge", merge)
        super().__init__(*branches)
        self.merge = merge
        self.axis = axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made = [module(_copy_if_overwritten(x, module)) for module in self]
        if self.merge == "concatenate":
            return torch.cat(made, self.axis)
        return sum(made)


class Residual(torch.nn.Sequential):  # type: ignore[misc]
    """``y = x + f(x)``: f is modules in sequence that preserve the shape, as in ``dnn.Residual``.

    Its names in ``state_dict`` are those of ``nn.Sequential``. For a projection of x use
    ``Parallel(projection, f, merge="add")``.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + super().forward(_copy_if_overwritten(x, self))


def _copy_if_overwritten(x: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
    """Return x, or a copy if the module may overwrite it, as ``nn.ReLU(inplace=True)`` does."""
    return x.clone() if any(getattr(m, "inplace", False) for m in module.modules()) else x


class Branch(torch.nn.Sequential):  # type: ignore[misc]
    """A branch of Parallel: the module of a layer, followed by the module of its activation."""


class Embedding(torch.nn.Embedding):  # type: ignore[misc]
    """torch's Embedding for integers in any dtype."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x.long())


class ChannelsLast(torch.nn.Module):  # type: ignore[misc]
    """Apply a torch.nn module for (B, C, H, W) to our images (B, H, W, C), or to sequences (B, L, C).

    Transposed to (B, C, H, W), our images have torch's memory format channels_last, so they are not copied.
    """

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        images = x.movedim(-1, 1)
        if isinstance(self.inner, torch.nn.Conv2d) and self.inner.stride != (1, 1):
            # A copy with other strides: with these, oneDNN's strided convolutions give wrong numbers or crash
            # (uxlfoundation/oneDNN#6035).
            images = images.clone(memory_format=torch.contiguous_format)
        return self.inner(images).movedim(1, -1)
