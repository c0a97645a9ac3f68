"""Tables of the experiments and of what is measured beside the training, for the lecture's pages."""

import shutil
from pathlib import Path

import numpy as np
from _pages import Grid, write_table

from backends import Backend
from dnn.datasets import Dataset
from dnn.random import host_normal, stream_key
from dnn.sequential import Sequential
from lecture_experiments.experiments import EXPERIMENTS, TABLES
from lecture_experiments.features import compute_features
from lecture_experiments.run import Outcomes, ResultFolder, build

NOISE_DEVIATIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
"""Standard deviations of the pixel noise, for pixels in [0, 1]."""


def experiment_tables(outcomes: Outcomes) -> dict[str, Grid]:
    """Return the tables of the finished experiments. The training loss is that of the last epoch."""
    tables: dict[str, Grid] = {}
    for table, experiments in TABLES.items():
        grid = [["setting", "updates", "training loss", "test accuracy", "reported elsewhere"]]
        for experiment in experiments:
            if outcome := outcomes.get(experiment.name):
                loss = f"{outcome.history['loss'][-1]:.4f}"
                accuracy = f"{100 * outcome.test_accuracy:.2f} %"
                cells = [str(outcome.updates), loss, accuracy, experiment.reported or "-"]
                grid.append([experiment.about, *cells])
        tables[table] = [row[: 5 if table == "steps" else 4] for row in grid]
    return tables


def noise_grid(outcomes: Outcomes, results: ResultFolder, data: Dataset, backend: Backend, seed: int) -> Grid:
    """Return a table of test accuracies: a row per experiment, a column for each of NOISE_DEVIATIONS."""
    rows = []
    for name in ("lecture", "relu-adam", "linear"):
        if name in outcomes:
            accuracies = _accuracies(results.load_network(name, backend), data, seed)
            rows.append([EXPERIMENTS[name].about, *(f"{100 * share:.1f} %" for share in accuracies)])
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


def gradients_grid(
    outcomes: Outcomes, data: Dataset, backend: Backend, seed: int, n_images: int = 1000
) -> Grid:
    """Return a table of the gradients of the networks of all depths at their initial weights.

    It has the root mean square of the gradient of a layer's weights, for the mean loss over the first
    ``n_images`` training images.
    """
    grid = [["setting", "first layer", "last hidden layer", "output layer", "first / last hidden"]]
    for experiment in TABLES["depth"]:
        if experiment.name not in outcomes:
            continue
        model = build(experiment, data, backend, seed)
        _, gradients = model.gradients(data.x_train[:n_images], data.y_train[:n_images])
        weights = [g for key, g in gradients.items() if key.endswith(".W")]
        first, last, output = (np.sqrt(np.mean(np.square(weights[i], dtype=np.float64))) for i in (0, -2, -1))
        cells = [f"{size:.1e}" for size in (first, last, output)]
        grid.append([experiment.about, *cells, f"{first / last:.2g}"])
    return grid


def sparsity_grid(data: Dataset) -> Grid:
    """Return a table of each feature set's length and its share of zeros.

    The share is measured on the first 2000 training images.
    """
    images = data.x_train[:2000].reshape(-1, *data.image_shape) / np.float32(255)
    features_of = {"pixels": images.reshape(len(images), -1)}
    for e in EXPERIMENTS.values():
        if e.features:
            features_of[e.about.partition(",")[0]] = compute_features(e.features, images, images)
    rows = [[about, str(x.shape[1]), f"{100 * (x == 0).mean():.1f} %"] for about, x in features_of.items()]
    return [["features", "features per image", "zeros"], *rows]


def publish(shown: dict[str, Grid], folder: Path, pages: Path) -> None:
    """Write the tables into lecture.md and lecture.zh.md, and copy the pictures beside them.

    A table with a picture of its name gets it below.
    """
    for page, about in (
        ("lecture.md", "test error and training loss of these networks"),
        ("lecture.zh.md", "上表中各网络的测试错误率和训练损失"),
    ):
        for name, grid in shown.items():
            picture = f"lecture-{name}{page.removeprefix('lecture').replace('.md', '.png')}"
            note = f"![{about}]({picture})" if (folder / picture).exists() else ""
            write_table(pages / page, name, grid, note)
    for path in folder.glob("lecture-*.png"):
        shutil.copy(path, pages)
