"""Conversion to and from native PyTorch: torch.nn modules, autograd and torch.optim.

The twin of a model is the equivalent PyTorch program: same architecture, weights and batches, without our
arithmetic. ``to_torch`` and ``from_torch`` copy the weights. ``Residual`` and ``Parallel`` are modules for
networks that ``from_torch`` reads.
"""

from typing import Any

from dnn.interop import NoTwin
from dnn.interop.torch.convert import to_torch
from dnn.interop.torch.losses_and_optimizers import torch_loss, torch_optimizer
from dnn.interop.torch.module_reader import from_torch

__all__ = [
    "NoTwin", "Parallel", "Residual", "from_torch", "to_torch", "torch_loss", "torch_optimizer",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Return a class of ``modules``, whose import imports torch."""
    if name not in ("Parallel", "Residual"):
        raise AttributeError(f"dnn.interop.torch has no attribute {name!r}")
    from dnn.interop.torch import modules

    return getattr(modules, name)
