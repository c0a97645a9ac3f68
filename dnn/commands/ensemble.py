"""Several runs that answer as one, by the mean of their probabilities."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backends import InputError
from dnn.commands import options
from dnn.commands.run_folder import RESULT
from dnn.io.regular_files import read_text
from dnn.sequential import Sequential

if TYPE_CHECKING:  # it imports Pillow
    from dnn.datasets import Dataset


@dataclass(frozen=True)
class Ensemble:
    """Trained models of one input and output."""

    configs: list[dict[str, Any]]  # of their runs
    models: list[Sequential]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The mean (N, C) of the models' outputs for x (N, ...)."""
        outputs = np.stack([model.predict(x) for model in self.models])
        return np.asarray(np.mean(outputs, axis=0, dtype=np.float64))

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """(loss, accuracy): one model's own; of several the cross-entropy of the mean of their outputs."""
        if len(self.models) == 1:
            loss, accuracy = self.models[0].evaluate(x, y)
            return float(loss), float(accuracy)
        p = self.predict(x)
        picked = np.maximum(p[np.arange(len(y)), y], np.finfo(np.float64).tiny)
        return float(-np.mean(np.log(picked))), float(np.mean(p.argmax(axis=1) == y))

    def held_out(self, data: Dataset) -> tuple[np.ndarray, np.ndarray] | None:
        """The training images that none of the models has seen; None: there are none."""
        n = min(config.get("hold_out") or 0 for config in self.configs)
        same = all(config.get("dataset") == data.name for config in self.configs)
        return (data.x_train[-n:], data.y_train[-n:]) if n and same else None


def open_ensemble(paths: Sequence[Path], arguments: argparse.Namespace) -> Ensemble:
    """The models of these run folders, on the backend asked for. Raises InputError: they do not fit."""
    ensemble = Ensemble([], [])
    for path in paths:
        config, model = options.open_run(path, arguments)
        ensemble.configs.append(config)
        ensemble.models.append(model)
        expected, found = (
            f"takes {one.input_shape} and gives {one.layers[-1].output_shape}"
            for one in (ensemble.models[0], model)
        )
        if found != expected:
            raise InputError(f"{paths[0]} {expected}, {path} {found}", "runs of one input and output")
    return ensemble


def read_sure_from(path: Path) -> float | None:
    """What train.py --hold-out wrote into this run folder; None: nothing that can be read."""
    try:
        found = json.loads(read_text(path / RESULT))["sure_from"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    return found if isinstance(found, float) else None
