"""What runs of ``train.py --preset`` reached, and how far they can be trusted, from their folders."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from backends import Backend, InputError
from dnn.commands.calibration import calibration_error, sure_from, sureness
from dnn.commands.ensemble import Ensemble
from dnn.commands.presets import PRESETS
from dnn.commands.run_folder import load_run
from dnn.datasets import Dataset
from lecture_experiments.grids import NOTHING, Grid
from lecture_experiments.readme import defaults_grid, has_defaults, result_of

SEEDS = range(5)
REACHED = ["preset", "epochs", *(f"seed {n}" for n in SEEDS), "mean", "all together", "calibration error"]
SURE = ["preset", "epochs", "calibration error", "sure from", "refused", "right of the others"]


@dataclass(frozen=True)
class Run:
    """One finished training of a preset."""

    preset: str
    epochs: int
    seed: int
    held: int  # of the last training images, which it has not seen
    accuracy: float  # on the test images
    answers: Ensemble  # its network


def read(path: Path, backend: Backend) -> Run:
    """From its folder. Raises InputError: it is none of a finished training of a preset with one of SEEDS."""
    config, model = load_run(path, lambda _: backend)
    accuracy = result_of(path).accuracy
    name, epochs, seed = (config.get(name, "none") for name in ("preset", "epochs", "seed"))
    if name not in PRESETS or seed not in SEEDS or type(epochs) is not int:
        got = f"run {path} has preset {name!r} and seed {seed!r}"
        raise InputError(got, "a preset and one of 0 to 4, or no options but a seed of 0 to 2")
    return Run(name, epochs, seed, config.get("hold_out", 0), accuracy, Ensemble([config], [model]))


def preset_grids(paths: Sequence[Path], data: Dataset, backend: Backend) -> dict[str, Grid]:
    """The tables "presets", of runs on all training images, "sure", of those that held some out, and
    "defaults", of runs without a preset.

    Raises InputError: a run cannot be taken, or two of a preset in a table had other numbers of epochs.
    """
    usual = [path for path in paths if has_defaults(path)]
    runs = [read(path, backend) for path in paths if path not in usual]
    whole, held = ([run for run in runs if bool(run.held) == least] for least in (False, True))
    made = {"presets": [REACHED, *_rows(whole, data, _reached)], "sure": [SURE, *_rows(held, data, _sure)]}
    return {**made, "defaults": defaults_grid(usual)}


def _rows(runs: Sequence[Run], data: Dataset, cells: Callable[[Sequence[Run], Dataset], list[str]]) -> Grid:
    """A row for each preset that there is."""
    rows = []
    for name in PRESETS:
        some = [run for run in runs if run.preset == name]
        epochs = {run.epochs for run in some}
        if len(epochs) > 1:
            raise InputError(f"runs of {name} had {sorted(epochs)} epochs, expected the same number")
        if some:
            rows.append([name, str(epochs.pop()), *cells(some, data)])
    return rows


def _points(share: float) -> str:
    return f"{100 * share:.2f}"


def _reached(runs: Sequence[Run], data: Dataset) -> list[str]:
    """Test accuracies by seed, their mean, and what all together reach by the mean of their probabilities."""
    found = {run.seed: run.accuracy for run in runs}
    cells = [f"{_points(found[seed])} %" if seed in found else NOTHING for seed in SEEDS]
    if len(found) == 1:
        return [*cells, NOTHING, NOTHING, NOTHING]
    p = Ensemble([], [model for run in runs for model in run.answers.models]).predict(data.x_test)
    right = float((p.argmax(axis=1) == data.y_test).mean())
    error = _points(calibration_error(p, data.y_test))
    return [*cells, *(f"{_points(share)} %" for share in (mean(found.values()), right)), error]


def _sure(runs: Sequence[Run], data: Dataset) -> list[str]:
    """Of the first run: from which probability on it is sure, and what that is worth on the test images."""
    run = runs[0]
    p, there = (run.answers.predict(x) for x in (data.x_test, data.x_train[-run.held :]))
    least, error = sure_from(there, data.y_train[-run.held :]), _points(calibration_error(p, data.y_test))
    if least is None:
        return [error, NOTHING, NOTHING, NOTHING]
    worth: dict[str, Any] = sureness(p, data.y_test, least)
    return [error, f"{least:.4f}", *(f"{_points(worth[name])} %" for name in ("refused", "right"))]
