"""The native PyTorch twin of a network: torch.nn modules, autograd and torch.optim.

It is what a PyTorch user would write instead of ours: same architecture, same weights, same batches, but
no line of our arithmetic. ``to_torch`` and ``from_torch`` carry the weights over, and ``fit`` takes the
arguments of ``Sequential.fit``.
"""

from dnn.interop.torch.convert import from_torch, to_torch
from dnn.interop.torch.losses_and_optimizers import torch_loss, torch_optimizer
from dnn.interop.torch.train import evaluate, fit
from dnn.interop.torch.twins import NoTwin

__all__ = ["NoTwin", "evaluate", "fit", "from_torch", "to_torch", "torch_loss", "torch_optimizer"]
