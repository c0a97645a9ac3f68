"""What is measured beside the training: accuracy under pixel noise, and gradients before the first update."""

from collections.abc import Mapping

import numpy as np
from _pages import Grid

from backends import Backend
from dnn.datasets import Dataset
from dnn.random import host_normal, stream_key
from dnn.sequential import Sequential
from lecture_experiments.experiments import EXPERIMENTS
from lecture_experiments.run import Outcome, ResultFolder, build
from lecture_experiments.tables import PAGE_TABLES, format_percent

NOISE_DEVIATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Standard deviations of the pixel noise, for pixels in [0, 1]."""


def noise_grid(
    outcomes: Mapping[str, Outcome], results: ResultFolder, data: Dataset, backend: Backend, seed: int
) -> Grid:
    """Return a table of test accuracies under noise of each of NOISE_DEVIATIONS, one row per experiment."""
    rows = []
    for name in ("lecture", "relu-adam", "linear"):
        if name in outcomes:
            accuracies = _accuracies(results.load_network(name, backend), data, seed)
            rows.append([EXPERIMENTS[name].about, *map(format_percent, accuracies)])
    return [["setting", *map(str, NOISE_DEVIATIONS)], *rows]


def _accuracies(model: Sequential, data: Dataset, seed: int) -> list[float]:
    dtype = model.backend.dtype_name
    clean = data.x_test.astype(dtype)
    draw = host_normal(stream_key(seed, "pixel noise"), clean.shape).astype(dtype)
    found = []
    for strength in NOISE_DEVIATIONS:
        noisy = np.clip(clean + 255 * strength * draw, 0, 255).astype(dtype)
        found.append(float(model.evaluate(noisy, data.y_test).accuracy))
    return found


def gradients_grid(data: Dataset, backend: Backend, seed: int, n_images: int = 1000) -> Grid:
    """Return a table of the gradients of the networks of all depths at their initial weights.

    It has the root mean square of the gradient of a layer's weights, for the mean loss over the first
    ``n_images`` training images.
    """
    grid = [["setting", "first layer", "last hidden layer", "output layer", "first / last hidden"]]
    for name in PAGE_TABLES["depth"]:
        model = build(EXPERIMENTS[name], data, backend, seed)
        _, gradients = model.gradients(data.x_train[:n_images], data.y_train[:n_images])
        weights = [g for key, g in gradients.items() if key.endswith(".W")]
        first, last, output = (np.sqrt(np.mean(np.square(weights[i], dtype=np.float64))) for i in (0, -2, -1))
        cells = [f"{size:.1e}" for size in (first, last, output)]
        grid.append([EXPERIMENTS[name].about, *cells, f"{first / last:.2g}"])
    return grid
