"""Native PyTorch: nn.Sequential, autograd and torch.optim, from the tutorial's loop to a good user's."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends import get_backend
from benchmarks.ours import build
from benchmarks.task import Prepared, Task
from dnn.interop.torch import to_torch


def network(task: Task) -> Any:
    """nn.Linear layers with the activation between them, logits at the end; weights as ours at the start."""
    return to_torch(build(task, get_backend("numpy"), scaled=False), task.device or "cpu", logits=True)


def prepare(
    task: Task, module: Any, batches: Callable[[], Iterator[Any]], step: Callable[..., None]
) -> Prepared:
    """A contender that takes ``step(*batch)`` for each of an endless stream of batches."""
    import torch

    stream = batches()
    device = torch.device(task.device or "cpu")

    def run(n: int) -> None:
        for _ in range(n):
            step(*next(stream))
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def probabilities(x: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.no_grad():
            rows: NDArray[np.float32] = module(torch.from_numpy(x).to(device)).softmax(1).cpu().numpy()
        return rows

    facts = {"torch": torch.__version__, "device": str(device), "threads": torch.get_num_threads()}
    return Prepared(run, probabilities, facts)


def in_memory(compiled: bool = False, captured: bool = False, **options: Any) -> Callable[[Task], Prepared]:
    """A good user's loop: float32 images in memory, a permutation an epoch, no DataLoader.

    Args:
        compiled: the forward pass by torch.compile.
        captured: the whole update replayed as a CUDA graph.
        options: Adam's: fused, capturable.
    """

    def prepared(task: Task) -> Prepared:
        import torch

        x, y = (torch.from_numpy(array).to(task.device) for array in (task.floats(), task.y))
        module = network(task)
        optimizer = torch.optim.Adam(module.parameters(), lr=1e-3, **options)
        loss_of = torch.nn.CrossEntropyLoss()
        model = torch.compile(module) if compiled else module
        total = torch.zeros((), device=task.device)

        def batches() -> Iterator[Any]:
            while True:
                for index in torch.randperm(len(x), device=task.device).split(task.settings.batch):
                    yield (index,)

        def step(index: Any) -> None:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[index]), y[index])
            loss.backward()
            optimizer.step()
            total.add_(loss.detach())

        return prepare(task, module, batches, replayed(step, next(batches())[0]) if captured else step)

    return prepared


def replayed(step: Callable[[Any], None], index: Any) -> Callable[[Any], None]:
    """The step from a CUDA graph; it is done a few times on the batch ``index`` first, as capturing needs."""
    import torch

    held = index.clone()  # the graph reads its batch from here
    with torch.cuda.device(index.device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                step(held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            step(held)

    def replay(index: Any) -> None:
        held.copy_(index)
        graph.replay()

    return replay


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
    module = torch.nn.Sequential(torch.nn.Flatten(), network(task))
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-3)
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
