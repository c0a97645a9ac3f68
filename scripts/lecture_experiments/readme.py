"""The README's tables, from what train.py, agree.py --json and benchmark.py --json have written."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from benchmarks.quartiles import lower_quartile, quartile_ratio

from backends import InputError
from dnn.commands.run_folder import RESULT, read_config
from lecture_experiments.grids import NOTHING, Grid

SEEDS = range(3)
DEFAULTS = {
    "preset": None, "hidden": [500, 500], "activation": "relu", "loss": "categorical_crossentropy",
    "optimizer": "adam", "learning_rate": None, "schedule": "linear", "warmup": 0, "batch_size": 100,
    "epochs": 10, "limit": None, "hold_out": 0, "blocks": 1,
}  # fmt: skip
"""train.py's options that decide what is learned, and what they are when none is given."""
DEFAULT_ROWS = ["backend", *(f"seed {n}" for n in SEEDS), "mean", "seconds"]
LEVELS = {
    "L0": "L0 functions: 2 to 8 ULP (softmax: more)",
    "L1": "L1 one layer or loss: u (sqrt(k - 1) + 10), and its condition",
    "L2": "L2 whole network, gradients: from the variance of every number",
    "L3": "L3 single steps, early and late in a training: as L2; update: a few u",
    "L4": "L4 trainings, every optimizer, and whole fits: 1e-9 in float64",
}
CHECKED = {"numpy": "numpy", "numba": "numba", "torch": "torch", "strict": "strict",
           "pytorch": "native PyTorch", "onnxruntime": "ONNX Runtime"}  # fmt: skip
OURS = "numba", "torch", "numpy"
OTHERS = {"pytorch": "PyTorch eager", "pytorch-fused": "PyTorch, fused Adam",
          "torch-compile": "torch.compile",
          "jax": "JAX, epoch in one jit", "keras-jax": "Keras on JAX", "sklearn": "scikit-learn",
          "floor-torch": "products alone, torch.mm"}  # fmt: skip


class Result(NamedTuple):
    """What a training came to, on the test images."""

    backend: str
    accuracy: float
    seconds: float


def result_of(path: Path) -> Result:
    """Of a run folder. Raises InputError: the training has not ended, or its file cannot be read."""
    try:
        found = json.loads((path / RESULT).read_text(encoding="utf-8"))
        return Result(str(found["backend_used"]), float(found["test_accuracy"]), float(found["seconds"]))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise InputError(f"run {path} cannot be read ({error!r}), expected one that has ended") from None


def _json(path: Path, command: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} cannot be read ({error}), expected what {command} --json wrote") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds no object, expected what {command} --json wrote")
    return found


def has_defaults(path: Path) -> bool:
    """Whether this is the folder of a run with train.py's own options and a seed of SEEDS."""
    config = read_config(path)
    return config.get("seed") in SEEDS and all(config.get(k, v) == v for k, v in DEFAULTS.items())


def defaults_grid(paths: Sequence[Path]) -> Grid:
    """Test accuracies of such runs by backend and seed, and the seconds that training took with the first."""
    found: dict[str, dict[int, Result]] = {}
    for path in paths:
        result = result_of(path)
        found.setdefault(result.backend, {})[read_config(path)["seed"]] = result
    rows = []
    for backend, runs in found.items():
        cells = [f"{100 * runs[seed].accuracy:.2f} %" if seed in runs else NOTHING for seed in SEEDS]
        seconds = f"{runs[SEEDS[0]].seconds:.1f}" if SEEDS[0] in runs else NOTHING
        rows.append([backend, *cells, f"{100 * mean(run.accuracy for run in runs.values()):.2f} %", seconds])
    return [DEFAULT_ROWS, *rows] if rows else []


def _made(path: Path, command: str, make: Callable[[dict[str, Any]], Grid]) -> Grid:
    try:
        return make(_json(path, command))
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise InputError(f"{path} holds {error!r}, expected what {command} --json wrote") from None


def agreement_grid(path: Path) -> Grid:
    """Of each level and backend that was checked, the worst error as a share of its bound."""

    def make(report: dict[str, Any]) -> Grid:
        worst: dict[tuple[str, str], float] = {}
        for record in report["records"]:
            key, measured = (record["level"], record["backend"]), float(record["measured"])
            share = measured / float(record["bound"]) if measured else 0.0  # a bound may be 0 too
            worst[key] = max(worst.get(key, 0.0), share)
        there = [name for name in CHECKED if any(name == backend for _, backend in worst)]
        if not there or not any(level in LEVELS for level, _ in worst):
            return []
        rows = [
            [text, *(f"{worst[level, b]:.2f}" if (level, b) in worst else NOTHING for b in there)]
            for level, text in LEVELS.items()
        ]
        return [["level: bound", *(CHECKED[name] for name in there)], *rows]

    return _made(path, "agree.py", make)


def accuracy_grid(path: Path) -> Grid:
    """L5: of each backend the mean test accuracy over seeds, and the mean difference to the first backend."""

    def make(report: dict[str, Any]) -> Grid:
        records = [record for record in report["records"] if record["level"] == "L5"]
        rows = []
        for record in records:
            middle, spread, apart, *_ = re.findall(r"[-+]?\d+\.\d+", record["note"])
            rows.append([CHECKED[record["backend"]], f"{middle} %", spread, apart])
        heading = ["L5", "mean", "standard deviation, points", "paired difference, points"]
        return [heading, *rows] if rows else []

    return _made(path, "agree.py", make)


def speed_grid(path: Path) -> Grid:
    """The time of an update of ours, and its ratio to that of each of the others."""

    def make(report: dict[str, Any]) -> Grid:
        ms = {name: [float(run["ms"]) for run in runs] for name, runs in report["runs"].items()}
        there = [name for name in OTHERS if name in ms]
        rows = [
            [
                name,
                f"{lower_quartile(ms[name]):.2f}",
                *(f"{quartile_ratio(ms[name], ms[o]).value:.2f}" for o in there),
            ]
            for name in OURS
            if name in ms
        ]
        return [["backend", "ms", *(OTHERS[name] for name in there)], *rows]

    return _made(path, "benchmark.py", make)
