"""Native PyTorch: nn.Sequential, autograd and torch.optim, from the tutorial's loop to a good user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.task import Prepared, Task

ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU"}


def network(task: Task, *before: Any) -> Any:
    """Linear layers with the activation between them, logits at the end; weights as ours at the start."""
    import torch
    from torch import nn

    modules = list(before)
    weights = task.glorot()
    for i, W in enumerate(weights):
        linear = nn.Linear(*W.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W.T.copy()))
            linear.bias.zero_()
        modules.append(linear)
        if i + 1 < len(weights):
            modules.append(getattr(nn, ACTIVATIONS[task.settings.activation])())
    return nn.Sequential(*modules)


def adam(module: Any, fused: bool) -> Any:
    """torch.optim.Adam with its defaults (1e-3), or its one-kernel implementation."""
    import torch

    if fused:
        return torch.optim.Adam(module.parameters(), lr=1e-3, fused=True)
    return torch.optim.Adam(module.parameters(), lr=1e-3)


def prepare(
    task: Task, module: Any, batches: Callable[[], Iterator[Any]], step: Callable[..., None]
) -> Prepared:
    """A contender that takes ``step(*batch)`` for each of an endless stream of batches."""
    import torch

    stream = batches()

    def run(n: int) -> None:
        for _ in range(n):
            step(*next(stream))

    def probabilities(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            rows: NDArray[np.float32] = module(torch.from_numpy(x)).softmax(1).numpy()
        return rows

    facts = {"torch": torch.__version__, "threads": torch.get_num_threads()}
    return Prepared(run, probabilities, facts)


def in_memory(task: Task, fused: bool = False, compiled: bool = False) -> Prepared:
    """A good user's loop: float32 images in memory, a permutation an epoch, no DataLoader."""
    import torch

    x, y = torch.from_numpy(task.floats()), torch.from_numpy(task.y)
    module = network(task)
    optimizer = adam(module, fused)
    loss_of = torch.nn.CrossEntropyLoss()
    model = torch.compile(module) if compiled else module
    total = torch.zeros(())

    def batches() -> Iterator[Any]:
        while True:
            for index in torch.randperm(len(x)).split(task.settings.batch):
                yield (index,)

    def step(index: Any) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x[index]), y[index])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())

    return prepare(task, module, batches, step)


def eager(task: Task) -> Prepared:
    return in_memory(task)


def eager_fused(task: Task) -> Prepared:
    return in_memory(task, fused=True)


def compiled(task: Task) -> Prepared:
    # With the fused Adam: the best that this user can have.
    return in_memory(task, fused=True, compiled=True)


def tutorial(task: Task) -> Prepared:
    """The usual tutorial: a Dataset of PIL images, ToTensor, DataLoader, and loss.item() each update."""
    import torch
    from PIL import Image
    from torchvision.transforms import ToTensor

    transform = ToTensor()

    class Images(torch.utils.data.Dataset):  # type: ignore[misc]
        def __len__(self) -> int:
            return len(task.x)

        def __getitem__(self, i: int) -> tuple[Any, int]:
            return transform(Image.fromarray(task.x[i].reshape(task.image_shape))), int(task.y[i])

    loader = torch.utils.data.DataLoader(Images(), batch_size=task.settings.batch, shuffle=True)
    module = network(task, torch.nn.Flatten())
    optimizer = adam(module, False)
    loss_of = torch.nn.CrossEntropyLoss()
    losses = []

    def batches() -> Iterator[Any]:
        while True:
            yield from loader

    def step(x: Any, y: Any) -> None:
        optimizer.zero_grad()
        loss = loss_of(module(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    return prepare(task, module, batches, step)
