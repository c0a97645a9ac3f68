"""Test accuracy of trained networks under pixel noise that was not in training."""

from collections.abc import Mapping

import numpy as np

from backends import Backend
from dnn.datasets import Dataset
from dnn.random import host_normal, stream_key
from dnn.sequential import Sequential
from lecture_experiments.experiments import EXPERIMENTS
from lecture_experiments.run import Outcome, Results
from lecture_experiments.tables import Grid, format_percent

NOISE_DEVIATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Standard deviations of the pixel noise, for pixels in [0, 1]."""


def noise_grid(
    outcomes: Mapping[str, Outcome], results: Results, data: Dataset, backend: Backend, seed: int
) -> Grid:
    """Return a table of test accuracies under noise of each of NOISE_DEVIATIONS, one row per experiment.

    It is empty if none of the experiments has been run.
    """
    rows = []
    for name in ("lecture", "relu-adam", "linear"):
        if name in outcomes:
            accuracies = _accuracies(results.load_network(name, backend), data, seed)
            rows.append([EXPERIMENTS[name].about, *map(format_percent, accuracies)])
    return [["setting", *map(str, NOISE_DEVIATIONS)], *rows] if rows else []


def _accuracies(model: Sequential, data: Dataset, seed: int) -> list[float]:
    dtype = model.backend.dtype_name
    clean = data.x_test.astype(dtype)
    draw = host_normal(stream_key(seed, "pixel noise"), clean.shape).astype(dtype)
    found = []
    for strength in NOISE_DEVIATIONS:
        noisy = np.clip(clean + 255 * strength * draw, 0, 255).astype(dtype)
        found.append(float(model.evaluate(noisy, data.y_test).accuracy))
    return found
