"""How fast it is on the card, how many kernels an update takes, and how much memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.floors import flops, library_matmul, products
from benchmarks.ours import Trainer, build

from backends import Backend, BackendUnavailable
from gpu_checks.common import WIDTHS, Result, Settings, on, task_of


def microseconds(run: Callable[[int], None], updates: int = 600, warm: int = 150, times: int = 5) -> float:
    """Median microseconds an update over some timings; ``run(n)`` waits for its end."""
    run(warm)
    found = []
    for _ in range(times):
        start = time.perf_counter()
        run(updates)
        found.append(1e6 * (time.perf_counter() - start) / updates)
    return statistics.median(found)


def speed_cupy(settings: Settings) -> Result:
    """Microseconds an update on CuPy, in float32 and with TF32."""
    task = task_of(settings)
    return {
        precision: microseconds(Trainer(build(task, backend), task).run)
        for precision in ("float32", "tf32")
        for backend in [on("cupy", settings, precision=precision)]
    }


def speed_torch(settings: Settings) -> Result:
    """Microseconds an update on torch: one by one, and from graphs of several lengths."""
    task, found = task_of(settings), {}
    for precision in ("float32", "tf32"):
        backend = on("torch", settings, precision=precision)
        found[f"{precision} eager"] = microseconds(Trainer(build(task, backend), task).run)
        for unroll in (1, 5, 25, 50):
            start = time.perf_counter()
            backend = on("torch", settings, precision=precision, graphs=True)
            trainer = Trainer(build(task, backend), task, unroll)
            trainer.run(150)
            found[f"{precision} graph of {unroll}, recorded in s"] = time.perf_counter() - start
            found[f"{precision} graph of {unroll}"] = microseconds(trainer.run)
    return found


def speed_native(settings: Settings) -> Result:
    """Microseconds an update of native PyTorch: a good user's loop, with fused Adam, and as a CUDA graph."""
    import torch
    from benchmarks.pytorch import network

    task = task_of(settings)
    x = torch.from_numpy(task.floats()).to(settings.device)
    y = torch.from_numpy(task.y).to(settings.device)
    found = {}
    for name, fused, captured in (("eager", False, False), ("fused", True, False), ("graph", True, True)):
        module = network(task).to(settings.device)
        options = {"fused": True} if fused else {}
        adam = torch.optim.Adam(module.parameters(), lr=1e-3, capturable=captured, **options)
        rows = torch.arange(100, device=settings.device)
        xb, yb = x[rows].clone(), y[rows].clone()

        def step(module: Any = module, adam: Any = adam, xb: Any = xb, yb: Any = yb) -> None:
            adam.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(module(xb), yb).backward()
            adam.step()

        replay = _graph_of(step) if captured else step
        order = torch.randperm(len(x), device=settings.device)

        def run(n: int, replay: Any = replay, xb: Any = xb, yb: Any = yb, order: Any = order) -> None:
            for i in range(n):
                index = order[i % 600 * 100 : i % 600 * 100 + 100]
                torch.index_select(x, 0, index, out=xb)
                torch.index_select(y, 0, index, out=yb)
                replay()
            torch.cuda.synchronize()

        found[name] = microseconds(run)
    return found


def _graph_of(step: Callable[[], None]) -> Callable[[], None]:
    import torch

    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    replay: Callable[[], None] = graph.replay
    return replay


def kernels(settings: Settings) -> Result:
    """GPU kernels an update, by name, as torch's profiler sees them (CuPy's too: it watches the process)."""
    from collections import Counter

    import torch
    from torch.profiler import ProfilerActivity, profile

    task = task_of(settings)
    found: Result = {}
    for library in ("cupy", "torch"):
        try:
            trainer = Trainer(build(task, on(library, settings)), task)
        except BackendUnavailable as error:
            found[library] = str(error)
            continue
        trainer.run(20)
        updates = 20
        with profile(activities=[ProfilerActivity.CUDA]) as profiled:
            trainer.run(updates)
            torch.cuda.synchronize()
        names = Counter(e.name for e in profiled.events() if "cuda" in str(e.device_type).lower())
        found[library] = {
            "an_update": sum(names.values()) / updates,
            "names": {name[:80]: count / updates for name, count in names.most_common(40)},
        }
    return found


def floor(settings: Settings) -> Result:
    """Microseconds of the update's products alone, TFLOP/s of them, and the card's copy bandwidth."""
    import torch

    found: Result = {"flop_an_update": flops(WIDTHS, 100)}
    for library in ("torch", "cupy"):
        for precision in ("float32", "tf32"):
            try:
                backend = on(library, settings, precision=precision)
            except BackendUnavailable as error:
                found[library] = str(error)
                break
            update = products(backend, library_matmul(backend), WIDTHS, 100)

            def run(n: int, update: Callable[[], None] = update, backend: Backend = backend) -> None:
                for _ in range(n):
                    update()
                backend.synchronize()

            found[f"{library} {precision} us"] = microseconds(run)
    source = torch.zeros(1 << 28, dtype=torch.uint8, device=settings.device)
    target = torch.empty_like(source)

    def copy(n: int) -> None:
        for _ in range(n):
            target.copy_(source)
        torch.cuda.synchronize()

    found["copy GB/s"] = 2 * source.numel() / microseconds(copy, 20, 5) / 1e3
    return found


def memory(settings: Settings) -> Result:
    """MB of the card that training takes, as each library counts them."""
    import torch

    task, found = task_of(settings), {}
    Trainer(build(task, on("torch", settings)), task).run(100)
    found["torch MB"] = torch.cuda.max_memory_reserved() / 1e6
    try:
        backend = on("cupy", settings)
    except BackendUnavailable as error:
        return {**found, "cupy": str(error)}
    import cupy

    Trainer(build(task, backend), task).run(100)
    found["cupy MB"] = cupy.get_default_memory_pool().total_bytes() / 1e6
    return found
