"""The parts: each a function of Settings that returns JSON values, and how long it may take.

Each runs in a process of its own, by ``_workers``, so that one that hangs or crashes leaves the others alone.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from unittest.mock import patch

import numpy as np
from _workers import SCRIPTS, Answer, serve
from benchmarks.ours import Trainer, build, layer_by_layer

from backends import available_backends
from backends.recording import Recorded
from dnn.optimizers import SGD
from gpu_checks.common import Result, Settings
from gpu_checks.speed import (
    floor,
    kernels,
    memory,
    speed_compile,
    speed_cupy,
    speed_native,
    speed_torch,
)


def doctor(settings: Settings) -> Result:
    """Libraries, driver and card."""
    found: Result = {"backends": available_backends(), "python": sys.version.split()[0]}
    found.update((library, backend.describe()) for library, backend in settings.both(found))
    try:
        smi = subprocess.run(["nvidia-smi"], capture_output=True, text=True, timeout=20)
        found["nvidia-smi"] = smi.stdout.strip() or smi.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        found["nvidia-smi"] = str(error)
    return found


def _agree(settings: Settings, libraries: str, *options: str) -> Result:
    """What agree.py says of these on the device: whether all comparisons hold, and which do not."""
    names = [name if name == "numpy" else f"{name}:{settings.device}" for name in libraries.split()]
    command = [sys.executable, str(SCRIPTS / "agree.py"), "--json", *options, "--backends", ",".join(names)]
    if settings.data_dir is not None:
        command += ["--data-dir", settings.data_dir]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    report = json.loads(done.stdout)
    broken = [r for r in report["records"] if r["verdict"] != "holds"]
    return {"holds": report["holds"], "comparisons": len(report["records"]), "broken": broken[:20]}


def agreement_cupy(settings: Settings) -> Result:
    """L0 to L4 on CuPy, beside NumPy."""
    return _agree(settings, "numpy cupy")


def agreement_torch(settings: Settings) -> Result:
    """L0 to L4 on torch, ours and native."""
    return _agree(settings, "numpy torch pytorch")


def agreement_tf32(settings: Settings) -> Result:
    """L0 to L3 with TF32 products, within their own bounds."""
    return _agree(settings, "torch cupy", "--precision", "tf32", "--levels", "L0,L1,L2,L3")


def captured_equals_eager(settings: Settings) -> Result:
    """100 updates, replayed from graphs and the same launches one by one: the same bits."""
    task, found = settings.task(), Result()
    for library, _ in settings.both(found):
        weights = []
        with ExitStack() as patched:
            for recorded in (True, False):
                if not recorded:
                    for kind in (Recorded, *Recorded.__subclasses__()):
                        patched.enter_context(patch.object(kind, "__call__", Recorded.eagerly))
                backend = settings.on(library, graphs=True)
                model = build(task, backend)
                Trainer(model, task).run(100)
                weights.append(backend.to_host(model.parameters.values))
        same = bool(np.array_equal(weights[0].view(np.uint32), weights[1].view(np.uint32)))
        difference = float(np.max(np.abs(weights[0] - weights[1])))
        found[library] = {"same_bits": same, "largest_difference": difference}
    return {"holds": all(row["same_bits"] for row in found.values() if isinstance(row, dict)), **found}


FAR = 1e-3  # of the way that the weights go in three updates; a wrong kernel is off by all of it


def plans_equal_layers(settings: Settings) -> Result:
    """Three updates with SGD layer by layer, planned where the backend plans, and with graphs."""
    task, found = settings.task(), Result()
    for library, backend in settings.both(found):
        forms = {"layers": layer_by_layer(backend), "launches": backend}
        forms["graph"] = settings.on(library, graphs=True)
        after = {}
        for form, made in forms.items():
            model = build(task, made)
            model.compile(optimizer=SGD(1.0), metrics=())
            before = np.array(made.to_host(model.parameters.values))
            Trainer(model, task).run(3)
            after[form] = made.to_host(model.parameters.values) - before
        length = np.linalg.norm(after["layers"])
        far = {form: float(np.linalg.norm(way - after["layers"]) / length) for form, way in after.items()}
        found[library] = far
    rows = [row for row in found.values() if isinstance(row, dict)]
    return {"holds": all(far <= FAR for row in rows for far in row.values()), **found}


RUNS = {
    "cupy": (), "cupy graphs": ("--graphs",), "cupy tf32": ("--precision", "tf32"),
    "torch": (), "torch graphs": ("--graphs",), "torch graphs tf32": ("--graphs", "--precision", "tf32"),
}  # fmt: skip
"""How train.py is called: the backend first."""


def trained(settings: Settings, library: str, *options: str) -> Result:
    """What train.py leaves in result.json, with its defaults: 6000 updates, the falling rate, metrics."""
    with TemporaryDirectory() as folder:
        place = Path(folder) / "run"
        command = [
            sys.executable,
            str(SCRIPTS / "train.py"),
            "--backend",
            library,
            "--device",
            settings.device,
        ]
        command += ["--quiet", "--require-backend", "--run-dir", str(place), *options]
        if settings.data_dir is not None:
            command += ["--data-dir", settings.data_dir]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            return {"reason": done.stderr.strip().splitlines()[-1]}
        result = json.loads((place / "result.json").read_text(encoding="utf-8"))
    wanted = "seconds_to_first_update", "ms_per_update", "seconds", "test_accuracy"
    return {name: result[name] for name in wanted}


def full_runs(settings: Settings) -> Result:
    """train.py on each, as a user starts it: the time to the first update, an update's, and the accuracy."""
    return {name: trained(settings, name.split()[0], *options) for name, options in RUNS.items()}


@dataclass(frozen=True)
class Part:
    """A function and how many seconds it may take."""

    run: Callable[[Settings], Result]
    seconds: int


PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "doctor": Part(doctor, 20),
        "captured_equals_eager": Part(captured_equals_eager, 40),
        "plans_equal_layers": Part(plans_equal_layers, 30),
        "agreement_torch": Part(agreement_torch, 80),
        "agreement_cupy": Part(agreement_cupy, 90),
        "full_runs": Part(full_runs, 90),
        "speed_cupy": Part(speed_cupy, 40),
        "speed_torch": Part(speed_torch, 40),
        "speed_native": Part(speed_native, 25),
        "speed_compile": Part(speed_compile, 40),
        "kernels": Part(kernels, 20),
        "floor": Part(floor, 15),
        "memory": Part(memory, 15),
        "agreement_tf32": Part(agreement_tf32, 50),
    }
)
"""In the order in which they run: what decides most comes first. Their limits are below 10 minutes in all."""
BUDGET_S = 470
"""After so many seconds in all, no part begins and the running one is stopped."""


def work(name: str, settings: str) -> Answer:
    """One part, in this process."""
    return {"result": PARTS[name].run(Settings(**json.loads(settings)))}


if __name__ == "__main__":
    sys.exit(serve(__doc__, work))
