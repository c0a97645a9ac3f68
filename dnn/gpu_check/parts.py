"""The parts: each a function of Settings that returns JSON values, and how long it may take.

Each runs in a process of its own (``worker.py``), so that one that hangs or crashes leaves the others alone.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backends import Backend, BackendUnavailable, available_backends, get_backend
from dnn.benchmark.floors import flops, library_matmul, products
from dnn.benchmark.ours import Trainer, build
from dnn.benchmark.settings import Settings as BenchmarkSettings
from dnn.benchmark.task import Task, load

Result = dict[str, Any]
ROOT = Path(__file__).resolve().parent.parent.parent
UPDATES = 6000
WIDTHS = (784, 500, 500, 10)


@dataclass(frozen=True)
class Settings:
    """What all parts share.

    Args:
        data_dir: where MNIST lies; None: DNN_DATA_DIR, else ./data.
        device: "cuda" or "cuda:N".
    """

    data_dir: str | None = None
    device: str = "cuda"


def on(library: str, settings: Settings, **options: Any) -> Backend:
    """CuPy or torch on the device that is checked."""
    return get_backend(library, settings.device, **options)


def task_of(settings: Settings) -> Task:
    """The lecture's network on all of MNIST."""
    return load(BenchmarkSettings(data_dir=settings.data_dir))


def doctor(settings: Settings) -> Result:
    """Libraries, driver and card."""
    found: Result = {"backends": available_backends(), "python": sys.version.split()[0]}
    for library in ("cupy", "torch"):
        try:
            found[library] = on(library, settings).describe()
        except BackendUnavailable as error:
            found[library] = str(error)
    try:
        smi = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=20)
        found["nvidia-smi"] = smi.stdout.strip() or smi.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        found["nvidia-smi"] = str(error)
    return found


def _agree(settings: Settings, *options: str) -> Result:
    """agree.py in this process's Python; its worst record for each level, and whether all hold."""
    import json

    command = [sys.executable, str(ROOT / "scripts" / "agree.py"), "--json", *options]
    if settings.data_dir is not None:
        command += ["--data-dir", settings.data_dir]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    report = json.loads(done.stdout)
    broken = [r for r in report["records"] if not r["holds"]]
    return {"holds": report["holds"], "comparisons": len(report["records"]), "broken": broken[:20]}


def agreement_cupy(settings: Settings) -> Result:
    """L0 to L4 on CuPy, beside NumPy."""
    return _agree(settings, "--backends", f"numpy,cupy:{settings.device}")


def agreement_torch(settings: Settings) -> Result:
    """L0 to L4 on torch, ours and native."""
    return _agree(settings, "--backends", f"numpy,torch:{settings.device},pytorch:{settings.device}")


def agreement_tf32(settings: Settings) -> Result:
    """L0 to L3 with TF32 products, within their own bounds."""
    names = f"torch:{settings.device},cupy:{settings.device}"
    return _agree(settings, "--backends", names, "--precision", "tf32", "--levels", "L0,L1,L2,L3")


def captured_equals_eager(settings: Settings) -> Result:
    """100 updates on torch, replayed from graphs and run one by one: the same bits."""
    task, weights = task_of(settings), []
    for graphs in (False, True):
        backend = on("torch", settings, graphs=graphs)
        model = build(task, backend)
        Trainer(model, task).run(100)
        weights.append(backend.to_host(model.parameters.values))
    same = bool(np.array_equal(weights[0].view(np.uint32), weights[1].view(np.uint32)))
    return {"holds": same, "largest_difference": float(np.max(np.abs(weights[0] - weights[1])))}


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

    from dnn.benchmark.pytorch import network

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


def full_runs(settings: Settings) -> Result:
    """6000 updates on each: seconds, warm-up apart, and the test accuracy (the falling rate of train.py)."""
    from dnn.datasets import load_dataset
    from dnn.layers import Dense
    from dnn.model import Sequential
    from dnn.optimizers import Adam
    from dnn.schedules import LinearDecay

    data = load_dataset("mnist", settings.data_dir)
    found: Result = {}
    ways: list[tuple[str, str, dict[str, Any]]] = [
        ("cupy", "cupy", {}),
        ("torch eager", "torch", {}),
        ("torch graphs", "torch", {"graphs": True}),
        ("torch graphs tf32", "torch", {"graphs": True, "precision": "tf32"}),
    ]
    for name, library, options in ways:
        try:
            backend = on(library, settings, **options)
        except BackendUnavailable as error:
            found[name] = str(error)
            continue
        row = {}
        for part, epochs in (("warm_up_s", 1), ("train_s", 10)):
            layers = [Dense(500, "relu"), Dense(500, "relu"), Dense(10, "softmax")]
            model = Sequential(layers, input_shape=(784,), backend=backend, seed=0)
            model.compile(optimizer=Adam(LinearDecay(1e-3, UPDATES)))
            start = time.perf_counter()
            history = model.fit(data.x_train, data.y_train, batch_size=100, epochs=epochs).history
            row[part] = time.perf_counter() - start
            row["training_alone_s"] = sum(history["seconds"])
        row["test_accuracy"] = model.evaluate(data.x_test, data.y_test).accuracy
        found[name] = row
    return found


def capture_probe(settings: Settings) -> Result:
    """Whether CuPy can capture a product by cublasLt: the answer decides CuPy's route to graphs."""
    from dnn.gpu_check.cublaslt import probe

    on("cupy", settings)
    return probe()


@dataclass(frozen=True)
class Part:
    """A function and how many seconds it may take."""

    run: Callable[[Settings], Result]
    seconds: int


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "doctor": Part(doctor, 30),
        "captured_equals_eager": Part(captured_equals_eager, 40),
        "agreement_torch": Part(agreement_torch, 75),
        "agreement_cupy": Part(agreement_cupy, 75),
        "capture_probe": Part(capture_probe, 20),
        "speed_torch": Part(speed_torch, 45),
        "speed_cupy": Part(speed_cupy, 40),
        "speed_native": Part(speed_native, 30),
        "full_runs": Part(full_runs, 50),
        "kernels": Part(kernels, 30),
        "floor": Part(floor, 20),
        "memory": Part(memory, 20),
        "agreement_tf32": Part(agreement_tf32, 60),
    }
)
"""In the order in which they run: what decides most comes first. Their seconds stay below 9 minutes."""
BUDGET_S = 470
"""No part starts, and none goes on, after so many seconds in all."""
