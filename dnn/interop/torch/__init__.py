"""Conversion to and from native PyTorch: torch.nn modules, autograd and torch.optim.

The twin of a model is the equivalent PyTorch program: same architecture, weights and batches, without our
arithmetic. ``to_torch`` and ``from_torch`` copy the weights, and ``fit`` takes the arguments of
``Sequential.fit``.
"""

from dnn.interop.torch.convert import to_torch
from dnn.interop.torch.losses_and_optimizers import torch_loss, torch_optimizer
from dnn.interop.torch.module_reader import from_torch
from dnn.interop.torch.train import evaluate, fit
from dnn.interop.torch.twins import NoTwin

__all__ = ["NoTwin", "evaluate", "fit", "from_torch", "to_torch", "torch_loss", "torch_optimizer"]
