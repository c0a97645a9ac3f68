"""The parts: each a function of Settings that returns JSON values, and how long it may take.

Each runs in a process of its own, by ``_workers``, so that one that hangs or crashes leaves the others alone.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from _workers import SCRIPTS, Answer, serve
from benchmarks.ours import Trainer, build

from backends import BackendUnavailable, available_backends
from backends.errors import brief
from dnn.agreement.bounds import layer as layer_bound
from gpu_checks.common import Result, Settings
from gpu_checks.speed import floor, kernels, memory, speed_cupy, speed_native, speed_torch

UPDATES = 6000


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
    """100 updates on torch, replayed from graphs and run one by one: the same bits."""
    task, weights = settings.task(), []
    for graphs in (False, True):
        backend = settings.on("torch", graphs=graphs)
        model = build(task, backend)
        Trainer(model, task).run(100)
        weights.append(backend.to_host(model.parameters.values))
    same = bool(np.array_equal(weights[0].view(np.uint32), weights[1].view(np.uint32)))
    return {"holds": same, "largest_difference": float(np.max(np.abs(weights[0] - weights[1])))}


def full_runs(settings: Settings) -> Result:
    """6000 updates on each: seconds, warm-up apart, and the test accuracy (the falling rate of train.py)."""
    from dnn.datasets import load_dataset
    from dnn.layers import Dense, Rescaling
    from dnn.optimizers import Adam
    from dnn.optimizers.schedules import LinearDecay
    from dnn.sequential import Sequential

    data = load_dataset("mnist", settings.data_dir)
    found: Result = {}
    for name in ("cupy", "torch eager", "torch graphs", "torch graphs tf32"):
        precision = "tf32" if "tf32" in name else "float32"
        try:
            backend = settings.on(name.split()[0], graphs="graphs" in name, precision=precision)
        except BackendUnavailable as error:
            found[name] = str(error)
            continue
        row = {}
        for part, epochs in (("warm_up_s", 1), ("train_s", 10)):
            layers = [Rescaling(1 / 255), Dense(500, "relu"), Dense(500, "relu"), Dense(10, "softmax")]
            model = Sequential(layers, input_shape=(784,), backend=backend, seed=0)
            model.compile(optimizer=Adam(LinearDecay(1e-3, UPDATES)))
            start = time.perf_counter()
            fitted = model.fit(data.x_train, data.y_train, batch_size=100, epochs=epochs, verbose=0)
            history = fitted.history
            row[part] = time.perf_counter() - start
            row["training_alone_s"] = sum(history["seconds"])
        row["test_accuracy"] = model.evaluate(data.x_test, data.y_test).accuracy
        found[name] = row
    return found


def capture_probe(settings: Settings) -> Result:
    """Whether CuPy captures a product, and replays it on new data: if so, its steps can become graphs."""
    settings.on("cupy")  # or the reason why not

    import cupy

    a, b = (cupy.random.rand(*shape, dtype=cupy.float32) for shape in ((100, 784), (784, 500)))
    stream, out = cupy.cuda.Stream(non_blocking=True), cupy.matmul(a, b)  # loads cuBLAS
    cupy.cuda.Device().synchronize()
    try:
        with stream:
            stream.begin_capture()
            try:
                cupy.matmul(a, b, out=out)
            finally:
                graph = stream.end_capture()
    except Exception as error:  # of CuPy, which may refuse cuBLAS here, or of CUDA
        return {"captured": False, "why": brief(error)}
    a += 1.0
    cupy.cuda.Device().synchronize()
    graph.launch(stream)
    stream.synchronize()
    wanted = cupy.matmul(a.astype(cupy.float64), b.astype(cupy.float64))
    far = float(cupy.linalg.norm(out - wanted) / cupy.linalg.norm(wanted))
    return {"captured": True, "error": far, "holds": far <= layer_bound(784)}


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
"""After so many seconds in all, no part begins and the running one is stopped."""


def work(name: str, settings: str) -> Answer:
    """One part, in this process."""
    return {"result": PARTS[name].run(Settings(**json.loads(settings)))}


if __name__ == "__main__":
    sys.exit(serve(__doc__, work))
