"""The parts: each a function of Settings that returns JSON values, and how long it may take.

Each runs in a process of its own (``worker.py``), so that one that hangs or crashes leaves the others alone.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from benchmarks.ours import Trainer, build

from backends import BackendUnavailable, available_backends
from gpu_checks.common import Result, Settings, on, task_of
from gpu_checks.speed import floor, kernels, memory, speed_cupy, speed_native, speed_torch

ROOT = Path(__file__).resolve().parent.parent.parent
UPDATES = 6000


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


def full_runs(settings: Settings) -> Result:
    """6000 updates on each: seconds, warm-up apart, and the test accuracy (the falling rate of train.py)."""
    from dnn.datasets import load_dataset
    from dnn.layers import Dense
    from dnn.optimizers import Adam
    from dnn.optimizers.schedules import LinearDecay
    from dnn.sequential import Sequential

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
    from gpu_checks.cublaslt import probe

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
        "agreement_torch": Part(agreement_torch, 90),
        "agreement_cupy": Part(agreement_cupy, 110),
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
