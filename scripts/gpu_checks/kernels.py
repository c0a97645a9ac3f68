"""Time each kernel of CuPy's planned update, and count the kernels of an update."""

import time
from collections import Counter
from typing import Any

import numpy as np
from benchmarks.ours import Trainer, build
from benchmarks.task import Task

from backends import Backend
from dnn.training.planning import make_plan
from dnn.training.step import TrainingStep
from dnn.training.totals import Totals
from gpu_checks.common import CheckOptions, NamedRows, Row

REPEATS = 200  # launches of a kernel in a row
UPDATES = 20  # whose kernels are counted


def kernels(settings: CheckOptions) -> NamedRows:
    """Yield the time of each kernel of a planned update, and each library's number of kernels per update."""
    task = settings.task()

    def check(library: str, backend: Backend) -> NamedRows:
        if library == "cupy":
            yield from time_kernels(backend, task)
        yield library, count_kernels(backend, task)

    yield from settings.each_library(check)


def time_kernels(backend: Backend, task: Task) -> NamedRows:
    """Yield (kernel, microseconds per launch on the card and for the host, and what the kernel occupies)."""
    import cupy

    from backends.cupy.update import Update

    model = build(task, backend)
    examples = model.input_pipeline.check(task.x, task.y)
    order = np.resize(np.arange(examples.size), (REPEATS + 1, task.settings.batch))
    plan: Any = make_plan(TrainingStep(model, examples, backend.from_host(order), Totals(model)))
    update: Any = Update(plan, backend)
    update()
    for call in update.calls:
        plan.position[...] = 0  # the kernel "step" advances it
        begin = cupy.cuda.Event()
        end = cupy.cuda.Event()
        backend.synchronize()
        start = time.perf_counter()
        begin.record()
        for _ in range(REPEATS):
            call()
        launched = time.perf_counter() - start
        end.record()
        end.synchronize()
        kernel = call.func
        row = {
            "us": 1e3 * cupy.cuda.get_elapsed_time(begin, end) / REPEATS,
            "us to launch": 1e6 * launched / REPEATS,
            "registers": kernel.attributes["num_regs"],
            "spilled bytes": kernel.attributes["local_size_bytes"],
        }
        yield f"kernel {kernel.name}", row


def count_kernels(backend: Backend, task: Task) -> Row:
    """Return the number of GPU kernels per update by name, from torch's profiler, which also sees CuPy's."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    trainer = Trainer(build(task, backend), task)
    trainer.run(UPDATES)
    # Without acc_events some versions of torch warn, and warnings are errors here.
    with profile(activities=[ProfilerActivity.CUDA], acc_events=True) as profiled:
        trainer.run(UPDATES)
        torch.cuda.synchronize()
    names = Counter(e.name for e in profiled.events() if "cuda" in str(e.device_type).lower())
    counts = {name[:80]: count / UPDATES for name, count in names.most_common(40)}
    return {"an update": sum(names.values()) / UPDATES, "names": counts}
