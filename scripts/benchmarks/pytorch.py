"""Native PyTorch: nn.Sequential, autograd and torch.optim."""

import numpy as np
from numpy.typing import NDArray

from backends import get_backend
from benchmarks.ours import build
from benchmarks.task import Prepared, Task
from dnn.interop.torch import to_torch


def prepare(task: Task, compiled: bool = False, fused: bool | None = None) -> Prepared:
    """Prepare an efficient loop: float32 images in memory, a permutation per epoch, no DataLoader.

    It starts with our initial weights.

    Args:
        compiled: run the forward pass with torch.compile.
        fused: an option of torch's Adam.
    """
    import torch

    device = torch.device(task.device or "cpu")
    x, y = (torch.from_numpy(array).to(device) for array in (task.floats(), task.y))
    module = to_torch(build(task, get_backend("numpy"), scaled=False), str(device), logits=True)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, fused=fused)
    loss_of = torch.nn.CrossEntropyLoss()
    model = torch.compile(module) if compiled else module
    total = torch.zeros((), device=device)
    batches: list[torch.Tensor] = []

    def run(n: int) -> None:
        for _ in range(n):
            if not batches:
                batches.extend(torch.randperm(len(x), device=device).split(task.settings.batch))
            index = batches.pop()
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total.add_(loss.detach())
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def probabilities(images: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            rows = module(torch.from_numpy(images).to(device)).softmax(1)
        return np.asarray(rows.cpu())

    facts = {"torch": torch.__version__, "device": str(device), "threads": torch.get_num_threads()}
    return Prepared(run, probabilities, facts)
