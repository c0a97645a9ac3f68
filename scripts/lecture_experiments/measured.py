"""Rows of the tables in docs/ and README.md from what train.py, agree.py and benchmark.py wrote."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.quartiles import lower_quartile, quartile_ratio

from backends import Backend, InputError
from backends.errors import refusing
from dnn.commands.calibration import calibration_error, sure_from, sureness
from dnn.commands.ensemble import Ensemble
from dnn.commands.presets import PRESETS
from dnn.commands.run_folder import RESULT, load_run, read_config
from dnn.datasets import Dataset
from lecture_experiments.tables import NOTHING, Grid, per_cent

UNREADABLE = OSError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError

# ----- runs of train.py

DEFAULTS = {
    "preset": None, "hidden": [500, 500], "activation": "relu", "loss": "categorical_crossentropy",
    "optimizer": "adam", "learning_rate": None, "schedule": "linear", "warmup": 0, "batch_size": 100,
    "epochs": 10, "limit": None, "hold_out": 0, "blocks": 1,
}  # fmt: skip
"""train.py's options that decide what is learned, and their defaults."""
SEEDS = {"defaults": range(3), "presets": range(5), "sure": range(5)}
HEADINGS = {
    "defaults": ["backend", *(f"seed {n}" for n in SEEDS["defaults"]), "mean", "seconds"],
    "presets": ["preset", "epochs", *(f"seed {n}" for n in SEEDS["presets"]), "mean", "all together",
                "calibration error"],
    "sure": ["preset", "epochs", "calibration error", "sure from", "refused", "right of the others"],
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A training that has ended."""

    path: Path
    config: Mapping[str, Any]
    backend: str
    accuracy: float  # on the test images
    seconds: float

    def place(self) -> tuple[str, str]:
        """The table and the row that it belongs to. Raises InputError: there is none."""
        preset = self.config.get("preset")
        seed = self.config.get("seed")
        if seed in SEEDS["defaults"] and all(self.config.get(k) == v for k, v in DEFAULTS.items()):
            return "defaults", self.backend
        if preset in PRESETS and seed in SEEDS["presets"]:
            return "sure" if self.config.get("hold_out") else "presets", str(preset)
        got = f"run {self.path} has preset {preset!r} and seed {seed!r}"
        raise InputError(got, "a preset and one of 0 to 4, or no options but a seed of 0 to 2")


def read_run(path: Path) -> Run:
    """Raises InputError: the training has not ended, or its folder cannot be read."""
    config = read_config(path)
    with refusing(UNREADABLE, f"run {path} cannot be read", "one that has ended"):
        found = json.loads((path / RESULT).read_text(encoding="utf-8"))
        figures = float(found["test_accuracy"]), float(found["seconds"])
        return Run(path, config, str(found["backend_used"]), *figures)


def run_grids(paths: Sequence[Path], data: Dataset, backend: Backend) -> dict[str, Grid]:
    """Tables of runs: "presets", "sure" if they held images out, "defaults" if they have no preset.

    Raises InputError: a run has no place, or those of a row had different numbers of epochs.
    """
    places: dict[tuple[str, str], list[Run]] = {}
    for run in map(read_run, paths):
        places.setdefault(run.place(), []).append(run)
    grids: dict[str, Grid] = {}
    for (table, name), runs in places.items():
        epochs = {run.config["epochs"] for run in runs}
        if len(epochs) > 1:
            raise InputError(f"runs of {name} had {sorted(epochs)} epochs", "the same number")
        if table == "defaults":
            cells = _default_cells(runs)
        else:
            models = [load_run(run.path, lambda _: backend)[1] for run in runs]
            cells = [
                str(epochs.pop()),
                *(_sure_cells if table == "sure" else _preset_cells)(runs, models, data),
            ]
        grids.setdefault(table, [HEADINGS[table]]).append([name, *cells])
    return grids


def _by_seed(runs: Sequence[Run], table: str) -> list[str]:
    """The test accuracies of the table's seeds, and their mean."""
    found = {run.config["seed"]: run.accuracy for run in runs}
    cells = [per_cent(found[seed], 2) if seed in found else NOTHING for seed in SEEDS[table]]
    return [*cells, per_cent(mean(found.values()), 2)]


def _default_cells(runs: Sequence[Run]) -> list[str]:
    """With the seconds of the training with seed 0."""
    seconds = [f"{run.seconds:.1f}" for run in runs if run.config["seed"] == 0]
    return [*_by_seed(runs, "defaults"), *(seconds or [NOTHING])]


def _preset_cells(runs: Sequence[Run], models: list[Any], data: Dataset) -> list[str]:
    """With what all runs reach by the mean of their probabilities, if they are several."""
    cells = _by_seed(runs, "presets")
    if len(runs) == 1:
        return [*cells[:-1], NOTHING, NOTHING, NOTHING]
    p = Ensemble([], models).predict(data.x_test)
    right = float((p.argmax(axis=1) == data.y_test).mean())
    return [*cells, per_cent(right, 2), f"{100 * calibration_error(p, data.y_test):.2f}"]


def _sure_cells(runs: Sequence[Run], models: list[Any], data: Dataset) -> list[str]:
    """Of the first run: from which probability on it is sure, and what that is worth on the test images."""
    held = runs[0].config["hold_out"]
    p, p_held = (Ensemble([], models[:1]).predict(x) for x in (data.x_test, data.x_train[-held:]))
    least = sure_from(p_held, data.y_train[-held:])
    error = f"{100 * calibration_error(p, data.y_test):.2f}"
    if least is None:
        return [error, NOTHING, NOTHING, NOTHING]
    worth = sureness(p, data.y_test, least)
    return [error, f"{least:.4f}", per_cent(worth["refused"], 2), per_cent(worth["right"], 2)]


# ----- what agree.py and benchmark.py measured

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


def agreement_grids(path: Path) -> dict[str, Grid]:
    """From agree.py --json: the worst error as a share of its bound (L0 to L4), and accuracies (L5)."""
    with refusing(UNREADABLE, f"{path} cannot be read", "what agree.py --json wrote"):
        records = json.loads(path.read_text(encoding="utf-8"))["records"]
        worst: dict[tuple[str, str], float] = {}
        accuracies = [["L5", "mean", "standard deviation, points", "paired difference, points"]]
        for record in records:
            level = record["level"]
            name = record["backend"]
            measured = float(record["measured"])
            if level == "L5":
                average, deviation, difference, *_ = re.findall(r"[-+]?\d+\.\d+", record["note"])
                accuracies.append([CHECKED[name], f"{average} %", deviation, difference])
            elif level in LEVELS and name in CHECKED:
                share = measured / float(record["bound"]) if measured else 0.0  # a bound may be 0 too
                worst[level, name] = max(worst.get((level, name), 0.0), share)
    names = [name for name in CHECKED if any((level, name) in worst for level in LEVELS)]
    errors = [["level: bound", *(CHECKED[name] for name in names)]]
    for level, text in LEVELS.items() if names else ():
        found = (worst.get((level, name)) for name in names)
        errors.append([text, *(NOTHING if share is None else f"{share:.2f}" for share in found)])
    grids = {"agreement": errors, "accuracy": accuracies}
    return {name: grid for name, grid in grids.items() if grid[1:]}


def speed_grid(path: Path) -> Grid:
    """From benchmark.py --json: the time of an update of ours, and its ratio to the time of each other."""
    with refusing(UNREADABLE, f"{path} cannot be read", "what benchmark.py --json wrote"):
        runs = json.loads(path.read_text(encoding="utf-8"))["runs"]
        ms = {name: [float(run["ms"]) for run in found] for name, found in runs.items()}
        others = [name for name in OTHERS if name in ms]
        grid = [["backend", "ms", *(OTHERS[name] for name in others)]]
        for name in OURS:
            if name in ms:
                ratios = (quartile_ratio(ms[name], ms[other]).value for other in others)
                grid.append([name, f"{lower_quartile(ms[name]):.2f}", *(f"{ratio:.2f}" for ratio in ratios)])
    return grid
