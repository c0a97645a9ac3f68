"""What one of our updates is made of, by a clock around each kernel of the real step.

    gather      picking the batch from the uint8 images
    products    the matrix products: timed alone on the same shapes, in turn with the updates
    activation  what the dense kernels take beyond their products (bias, f, f', bias sums, temporaries)
    loss        softmax and cross-entropy with its gradient
    optimizer   Adam over the flat vector
    rest        everything between kernels: the loop, indices, sums

Alone, the products find their operands in the cache more often than in the update, so that "activation" is
rather too much than too little.
"""

import statistics
import time
from itertools import pairwise
from typing import Any

from backends import Backend, get_backend
from backends.dispatch import Kernel
from benchmarks.floors import library_matmul, products
from benchmarks.ours import Trainer, build
from benchmarks.settings import Settings
from benchmarks.task import load
from dnn.losses import LOSSES
from dnn.optimizers import OPTIMIZERS

PARTS = ("gather", "products", "activation", "loss", "optimizer", "rest")
DENSE = "dense"  # products and activation together, until they are told apart


def part_of(kernel: str) -> str:
    """The part of an update that a kernel belongs to."""
    if kernel.startswith("gather"):
        return "gather"
    if kernel.startswith(("dense", "linear")):
        return DENSE
    if kernel.startswith("activation"):
        return "activation"
    if kernel in {loss.kernel for loss in LOSSES.values()}:
        return "loss"
    return "optimizer" if kernel in OPTIMIZERS else "rest"


def watched(backend: Backend, seconds: dict[str, float]) -> Backend:
    """The backend, whose every kernel adds its time to the seconds of its part."""
    clock, wait = time.perf_counter, backend.synchronize

    def watch(name: str, kind: str | None, kernel: Kernel) -> Kernel:
        part = part_of(name)
        seconds.setdefault(part, 0.0)

        def timed(*arguments: Any) -> None:
            wait()
            start = clock()
            kernel(*arguments)
            wait()
            seconds[part] += clock() - start

        return timed

    return backend.wrapped(watch)


def profile(name: str, settings: Settings) -> dict[str, Any]:
    """Milliseconds an update of each part, medians over the chunks, for one of our contenders.

    Args:
        name: "numpy", "numba" or "torch". Best called in a fresh process.
        settings: ``updates`` are looked at after an epoch of warming up.

    Returns:
        parts (name -> ms), total (ms with the clocks running), plain (ms without them), facts.
    """
    task = load(settings)
    backend = get_backend(name)
    seconds: dict[str, float] = {}
    plain = Trainer(build(task, backend), task)
    trainer = Trainer(build(task, watched(backend, seconds)), task)
    multiply = products(backend, library_matmul(backend), task.widths, settings.batch)
    for warm in (plain, trainer):
        warm.run(task.whole)
    size = min(settings.chunk, settings.updates)
    rows: list[dict[str, float]] = []
    for _ in range(max(1, settings.updates // size)):
        for part in seconds:
            seconds[part] = 0.0
        marks = [time.perf_counter()]
        for run in (trainer.run, plain.run):
            run(size)
            marks.append(time.perf_counter())
        for _ in range(size):
            multiply()
        backend.synchronize()
        marks.append(time.perf_counter())
        total, bare, alone = (b - a for a, b in pairwise(marks))
        row = {part: seconds.get(part, 0.0) for part in PARTS}
        row["products"] = alone
        row["activation"] += seconds.get(DENSE, 0.0) - alone
        row["rest"] = total - sum(seconds.values()) + seconds.get("rest", 0.0)
        rows.append({**row, "total": total, "plain": bare})
    median = {key: 1e3 * statistics.median(row[key] for row in rows) / size for key in rows[0]}
    return {
        "name": name,
        "parts": {part: median[part] for part in PARTS},
        "total": median["total"],
        "plain": median["plain"],
        "facts": backend.describe(),
    }
