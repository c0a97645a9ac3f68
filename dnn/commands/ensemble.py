"""An ensemble: the averaged probabilities of several trained runs."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backends import InputError
from dnn.commands import options
from dnn.commands.run_folder import RESULT_FILE
from dnn.io.regular_files import read_text
from dnn.sequential import Sequential
from dnn.settings.checks import require
from dnn.training.evaluation import Evaluation
from dnn.typing import Json


@dataclass(frozen=True)
class Ensemble:
    """Trained models with the same input and output shapes."""

    configs: Sequence[Json]  # of their runs
    models: Sequence[Sequential]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the mean (N, C) of the models' outputs for x (N, ...)."""
        outputs = [model.predict(x) for model in self.models]
        return np.asarray(np.mean(outputs, axis=0, dtype=np.float64))

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> Evaluation:
        """Return the loss and the metrics of x (N, ...) and classes y (N,).

        A single model has its own loss and metrics; several have the cross-entropy and the accuracy of their
        mean output.
        """
        if len(self.models) == 1:
            return self.models[0].evaluate(x, y)
        p = self.predict(x)
        require(y.max() < p.shape[1], "y", f"class {y.max()}", f"classes below {p.shape[1]}")
        p_true = np.maximum(p[np.arange(len(y)), y], np.finfo(np.float64).tiny)
        numbers = float(-np.mean(np.log(p_true))), float(np.mean(p.argmax(axis=1) == y))
        return Evaluation(numbers, ["loss", "accuracy"])


def open_ensemble(paths: Sequence[Path], arguments: argparse.Namespace) -> Ensemble:
    """Load the models of these run folders on the requested backend.

    Raises InputError: their input or output shapes differ.
    """
    configs, models = zip(*(options.open_run(path, arguments) for path in paths), strict=True)
    shapes = [
        (model.input_shape, model.layers[-1].output_shape, *config["classes"])
        for config, model in zip(configs, models, strict=True)
    ]
    if len(set(shapes)) > 1:
        raise InputError(f"the runs have the input and output shapes {shapes}", "runs with the same shapes")
    return Ensemble(configs, models)


def read_threshold(runs: Sequence[Path]) -> float | None:
    """Return the confidence threshold that train.py --hold-out wrote; None for several runs."""
    try:
        (run,) = runs
        found = json.loads(read_text(run / RESULT_FILE))["sure_from"]
    except (OSError, ValueError, RecursionError, LookupError, TypeError):
        return None
    return found if isinstance(found, float) else None
