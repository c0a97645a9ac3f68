"""Size of the gradient in each layer before the first update, in networks of several depths."""

from collections.abc import Mapping

import numpy as np

from backends import Backend
from dnn.datasets import Dataset
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS, Experiment
from lecture_experiments.run import build
from lecture_experiments.tables import Grid

Sizes = Mapping[str, list[float]]
"""Experiment -> root mean square of the gradient of each layer's weights, from input to output."""


def gradient_sizes(data: Dataset, backend: Backend, seed: int, n_images: int = 1000) -> Sizes:
    """Return the gradient sizes of the networks of all depths at their initial weights.

    The gradient is that of the mean loss over the first ``n_images`` training images.
    """
    names = [f"depth-{n}-{activation}" for activation in ("sigmoid", "relu") for n in DEPTHS]
    return {name: _sizes(EXPERIMENTS[name], data, backend, seed, n_images) for name in names}


def _sizes(experiment: Experiment, data: Dataset, backend: Backend, seed: int, n_images: int) -> list[float]:
    x = data.x_train[:n_images] / np.float32(255)
    y = data.y_train[:n_images]
    model = build(experiment, data, backend, seed)
    model.reserve(len(x), training=True)
    _, _, dy = model.loss_of(
        backend.from_host(x.astype(backend.dtype_name)), backend.from_host(y), training=True
    )
    model.backward(dy)
    weights = [g for name, g in model.parameters.gradient.items() if name.endswith(".W")]
    return [float(np.sqrt(np.mean(np.square(backend.to_host(g), dtype=np.float64)))) for g in weights]


def gradients_grid(sizes: Sizes) -> Grid:
    """Return a table with the gradient sizes of the first and last layers, one row per network."""
    rows = []
    for name, found in sizes.items():
        first = found[0]
        last, output = found[-2:]
        cells = [f"{size:.1e}" for size in (first, last, output)]
        rows.append([EXPERIMENTS[name].about, *cells, f"{first / last:.2g}"])
    return [["setting", "first layer", "last hidden layer", "output layer", "first / last hidden"], *rows]
