"""Native PyTorch: nn.Sequential, autograd and torch.optim."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends import get_backend
from benchmarks.ours import build
from benchmarks.task import Prepared, Task
from dnn.interop.torch import to_torch


def network(task: Task) -> Any:
    """Return nn.Linear layers with activations between them, logits at the end, and our initial weights."""
    return to_torch(build(task, get_backend("numpy"), scaled=False), task.device or "cpu", logits=True)


def prepare_pytorch(compiled: bool = False, **options: Any) -> Callable[[Task], Prepared]:
    """Return a ``prepare`` for an efficient loop: float32 images in memory, a permutation per epoch.

    It uses no DataLoader.

    Args:
        compiled: run the forward pass with torch.compile.
        options: options of Adam, such as fused.
    """

    def prepare(task: Task) -> Prepared:
        import torch

        device = torch.device(task.device or "cpu")
        x, y = (torch.from_numpy(array).to(device) for array in (task.floats(), task.y))
        module = network(task)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, **options)
        loss_of = torch.nn.CrossEntropyLoss()
        model = torch.compile(module) if compiled else module
        total = torch.zeros((), device=device)

        def batches() -> Iterator[Any]:
            while True:
                yield from torch.randperm(len(x), device=device).split(task.settings.batch)

        stream = batches()

        def run(n: int) -> None:
            for _ in range(n):
                index = next(stream)
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

    return prepare
