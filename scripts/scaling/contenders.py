"""What is timed: a process that makes some updates whenever it is asked, and forks its other workers."""

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from itertools import count, pairwise
from typing import Any

import numpy as np
from _workers import serve
from fault_injection.groups import free_port, stand_in

from dnn.distributed import WorkerError, Workers

Settings = dict[str, Any]
Slice = Callable[[int], None]
WIDTHS = (784, 500, 500, 10)


def group(size: int) -> Workers:
    """Fork the other workers, and join them."""
    if size > 1:
        port = free_port()
        stand_in(next((rank for rank in range(1, size) if os.fork() == 0), 0), size, port)
    return Workers.from_environment(timeout=600.0)


def images(settings: Settings) -> tuple[np.ndarray, np.ndarray]:
    from dnn.datasets import load_dataset

    data = load_dataset(settings["dataset"], settings["data_dir"])
    return data.x_train.reshape(len(data.x_train), -1), data.y_train


def ours(settings: Settings, workers: Workers, stack: ExitStack) -> Slice:
    """Updates of a network of ours, cut into blocks."""
    from backends import get_backend
    from dnn import Dense, Rescaling, Sequential
    from dnn.distributed.blocks import steps_in_blocks
    from dnn.training.loop import Batches

    backend = get_backend(settings["backend"])
    if settings["threads"] == 1 and workers.size == 1:
        workers.local_size = os.cpu_count() or 1  # as if others had the other cores
    stack.enter_context(backend.in_threads(1) if settings["threads"] == 1 else nullcontext())
    x, y = images(settings)
    hidden = [Dense(n, "relu") for n in WIDTHS[1:-1]]
    layers = [Rescaling(1 / 255), *hidden, Dense(10, "softmax")]
    model = Sequential(layers, input_shape=x.shape[1:], backend=backend)
    model.compile()
    examples, _ = model.door.admit_training(x, y)
    make = stack.enter_context(steps_in_blocks(model, settings["blocks"], workers))
    batches = Batches(model, examples, settings["batch"], make_step=make)
    epochs = count(1)

    def run(updates: int) -> None:
        if batches.done + updates > batches.updates:
            batches.begin(next(epochs))
        batches.run(updates)

    return run


def ddp(settings: Settings, workers: Workers, stack: ExitStack) -> Slice:
    """The same updates by PyTorch's DistributedDataParallel, with its fused Adam."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    x, y = (torch.from_numpy(array.copy()) for array in images(settings))
    parts: list[Any] = []
    for n_in, n_out in pairwise((x.shape[1], *WIDTHS[1:])):
        parts += [torch.nn.Linear(n_in, n_out), torch.nn.ReLU()]
    model: Any = torch.nn.Sequential(*parts[:-1])
    model = DistributedDataParallel(model) if workers.size > 1 else model
    optimizer, loss_of = torch.optim.Adam(model.parameters(), fused=True), torch.nn.CrossEntropyLoss()
    size, order = settings["batch"], torch.from_numpy(np.random.default_rng(0).permutation(len(x)))

    def run(updates: int) -> None:
        for i in range(updates):
            rows = order[i * size : (i + 1) * size][workers.rank :: workers.size]
            optimizer.zero_grad()
            loss_of(model(x[rows].float() / 255), y[rows]).backward()
            optimizer.step()

    return run


def exchange(settings: Settings, workers: Workers, stack: ExitStack) -> Slice:
    """Sums of a vector over the workers, and nothing else."""
    from backends import get_backend

    backend = get_backend("numpy")
    vector = workers.zeros(backend, settings["numbers"])

    def run(updates: int) -> None:
        for _ in range(updates):
            workers.add(backend, vector)

    return run


KINDS = {"ours": ours, "ddp": ddp, "exchange": exchange}


def work(name: str, text: str) -> Iterator[dict[str, float]]:
    """Milliseconds of an update, of the first worker's CPU time, and in sums over workers, of each slice."""
    settings = json.loads(text)
    workers = group(settings["size"])
    with ExitStack() as stack:
        run = KINDS[name](settings, workers, stack)
        run(2)
        each = 1e3 / settings["updates"]
        try:
            while workers.share(lambda: bool(input())):
                run(settings["updates"])  # until the kernel has given the woken threads a core each
                workers.seconds, begun, used = 0.0, time.perf_counter(), time.process_time()
                run(settings["updates"])
                took = {"ms": time.perf_counter() - begun, "cpu": time.process_time() - used}
                if workers.first:
                    yield {name: each * s for name, s in {**took, "sums": workers.seconds}.items()}
        except (WorkerError, EOFError):  # the first one has ended
            os._exit(0)


if __name__ == "__main__":
    raise SystemExit(serve(__doc__, work))
