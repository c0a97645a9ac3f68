"""Seconds of training to a test accuracy: preset ``quick``, and the same recipe in PyTorch.

All train 784-500-500-10 with ReLU on images shifted by up to one pixel, in batches of 250, for five epochs,
with Adam and a one-cycle learning rate up to 0.006. Evaluation time is not counted; compile time is.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import mean
from typing import Any

import numpy as np
from _tables import format_columns
from _workers import ask, serve

from backends import get_backend
from benchmarks.contenders import environment
from benchmarks.ratios import lower_quartile
from benchmarks.task import scale_pixels
from dnn.commands.presets import PRESETS
from dnn.datasets import Dataset, load_dataset
from dnn.optimizers.schedules import OneCycle
from dnn.sequential import Sequential
from dnn.training.history import History

QUICK_PRESET = PRESETS["quick"]
Curve = dict[str, list[float]]  # "seconds" and test "accuracy" of each epoch


def train_ours(name: str, data: Dataset, seed: int, updates: int) -> Curve:
    """Train our network like ``train.py --preset quick``."""
    layers = QUICK_PRESET.layers(data.image_shape, data.classes)
    model = Sequential(layers, input_shape=data.x_train.shape[1:], backend=get_backend(name), seed=seed)
    model.compile(QUICK_PRESET.loss, QUICK_PRESET.optimizer(updates))
    test = (data.x_test, data.y_test)
    options: dict[str, Any] = {
        "batch_size": QUICK_PRESET.batch_size,
        "epochs": QUICK_PRESET.epochs,
        "verbose": 0,
    }
    fitted: History = model.fit(data.x_train, data.y_train, validation_data=test, **options)
    return {"seconds": fitted.history["seconds"], "accuracy": fitted.history["val_accuracy"]}


def train_pytorch(name: str, data: Dataset, seed: int, updates: int) -> Curve:
    """Train torch.nn with the fused Adam; images are shifted per batch, as views of padded ones."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x, x_test = (torch.from_numpy(scale_pixels(images)) for images in (data.x_train, data.x_test))
    y, y_test = (torch.from_numpy(labels.astype(np.int64)) for labels in (data.y_train, data.y_test))
    height, width = data.image_shape
    wide = nn.functional.pad(x.view(-1, height, width), (1, 1, 1, 1))
    views = wide.unfold(1, height, 1).unfold(2, width, 1)  # (N, 3, 3, H, W)
    hidden = nn.Linear(x.shape[1], 500), nn.ReLU(), nn.Linear(500, 500), nn.ReLU()
    module = nn.Sequential(*hidden, nn.Linear(500, data.classes))
    optimizer = torch.optim.Adam(module.parameters(), fused=True)
    rates = QUICK_PRESET.optimizer(updates).learning_rate
    assert isinstance(rates, OneCycle)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates.highest, total_steps=updates, pct_start=rates.rise, cycle_momentum=False
    )
    curve: Curve = {"seconds": [], "accuracy": []}
    for _ in range(QUICK_PRESET.epochs):
        start = time.perf_counter()
        for rows in torch.randperm(len(x)).split(QUICK_PRESET.batch_size):
            down, across = torch.randint(3, (2, len(rows)))
            moved = views[rows, down, across].flatten(1)
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(moved), y[rows]).backward()
            optimizer.step()
            schedule.step()
        curve["seconds"].append(time.perf_counter() - start)
        with torch.no_grad():
            right = module(x_test).argmax(1) == y_test
        curve["accuracy"].append(float(right.float().mean()))
    return curve


RACERS: Mapping[str, Callable[[str, Dataset, int, int], Curve]] = {
    "numba": train_ours, "torch": train_ours, "numpy": train_ours, "pytorch-fused": train_pytorch,
}  # fmt: skip
"""Contender -> function that trains it."""


def run_race(name: str, settings: str) -> Iterator[Curve]:
    """Run one training in this process. The settings are JSON: seed, dataset, data_dir."""
    asked = json.loads(settings)
    data = load_dataset(asked["dataset"], asked["data_dir"])
    updates = QUICK_PRESET.epochs * -(-len(data.x_train) // QUICK_PRESET.batch_size)
    yield RACERS[name](name, data, asked["seed"], updates)


def run(names: list[str], seeds: int, settings: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, the curve of ``run_race`` or its {"reason"}), in turn, each from its own process."""
    for seed in range(seeds):
        for name in names:
            variables = environment(name, None)
            yield name, next(ask("benchmarks.race", name, {**settings, "seed": seed}, 900.0, variables))


def seconds_to(curve: Curve, target: float) -> float | None:
    """Return the seconds of training to the end of the first epoch with this accuracy, or None."""
    reached = [i for i, accuracy in enumerate(curve["accuracy"], 1) if accuracy >= target]
    return sum(curve["seconds"][: reached[0]]) if reached else None


def table(found: Mapping[str, list[Curve]]) -> str:
    """Return a table of lower quartiles over the seeds with minimum and maximum, and mean final accuracy."""
    rows = []
    for name, curves in found.items():
        cells = [name]
        for target in QUICK_PRESET.target_accuracies:
            times = sorted(s for curve in curves if (s := seconds_to(curve, target)) is not None)
            spread = f"{lower_quartile(times):.1f} ({times[0]:.1f} to {times[-1]:.1f})" if times else "-"
            cells.append(spread + (f", {len(times)} of {len(curves)}" if len(times) < len(curves) else ""))
        rows.append([*cells, f"{100 * mean(curve['accuracy'][-1] for curve in curves):.2f} %"])
    headings = [
        "",
        *(f"s to {100 * target:.1f} %" for target in QUICK_PRESET.target_accuracies),
        "in the end",
    ]
    return format_columns(headings, rows)


if __name__ == "__main__":
    sys.exit(serve(__doc__, run_race))
