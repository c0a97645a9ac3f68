"""Features made by hand: what stood between an image and a classifier before networks learned from pixels.

zoning   the mean of each of 7 x 7 zones
pca      the image's part along each of 50 principal components of the training images (K. Pearson 1901)
hog      in each zone, how much edge there is in each of 9 directions; 2 x 2 zones together have length 1
         (N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005)
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnn.datasets import Dataset
from lecture_experiments.experiments import EXPERIMENTS, LINEAR

Floats = NDArray[np.float32]
ZONES, COMPONENTS, DIRECTIONS = 7, 50, 9
FLOOR = 0.01
"""Least standard deviation that a feature is divided by: one that hardly ever changes is not blown up."""


def _in_zones(x: Any) -> Any:
    """(n, height, width, ...) -> (n, rows, cell, columns, cell, ...), without what fills no zone."""
    cell = max(1, x.shape[1] // ZONES)
    rows = x.shape[1] // cell
    columns = x.shape[2] // cell
    return x[:, : rows * cell, : columns * cell].reshape(len(x), rows, cell, columns, cell, *x.shape[3:])


def zoning(x: Floats, train: Floats) -> Any:
    """The mean of each zone."""
    return _in_zones(x).mean(axis=(2, 4)).reshape(len(x), -1)


def pca(x: Floats, train: Floats) -> Any:
    """The projection on the directions in which the training images differ most."""
    flat = train.reshape(len(train), -1)
    mean = flat.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov(flat - mean, rowvar=False))  # by rising variance
    return (x.reshape(len(x), -1) - mean) @ vectors[:, : -COMPONENTS - 1 : -1].astype(np.float32)


def hog(x: Floats, train: Floats) -> Any:
    """Histograms of oriented gradients; 1,000 images at a time."""
    if len(x) > 1000:
        return np.concatenate([hog(x[i : i + 1000], train) for i in range(0, len(x), 1000)])
    dx = np.zeros_like(x)
    dy = np.zeros_like(x)
    dx[:, :, 1:-1] = x[:, :, 2:] - x[:, :, :-2]
    dy[:, 1:-1] = x[:, 2:] - x[:, :-2]
    direction = (np.arctan2(dy, dx) % np.pi * (DIRECTIONS / np.pi)).astype(np.int64) % DIRECTIONS
    votes = (direction[..., None] == np.arange(DIRECTIONS)) * np.hypot(dx, dy)[..., None]
    zones = _in_zones(votes).mean(axis=(2, 4))  # (n, rows, columns, directions)
    rows, columns = zones.shape[1:3]
    corners = [zones[:, i : rows - 1 + i, j : columns - 1 + j] for i in (0, 1) for j in (0, 1)]
    blocks = np.concatenate(corners, axis=-1)
    return (blocks / np.sqrt(np.square(blocks).sum(axis=-1, keepdims=True) + 1e-10)).reshape(len(x), -1)


FEATURES: Mapping[str, Callable[[Floats, Floats], Any]] = MappingProxyType(
    {"zoning": zoning, "pca": pca, "hog": hog}
)
"""Name -> features (n, k) of (n, height, width) pixels in [0, 1], with what the training images tell."""


def _pixels(x: NDArray[np.uint8], data: Dataset) -> Any:
    return x.reshape(-1, *data.image_shape) / np.float32(255)


def with_features(name: str, data: Dataset) -> Dataset:
    """The data with features in place of images, with mean 0 and variance 1 in training; "": as it is."""
    if not name:
        return data
    n = len(data.x_train)
    images = _pixels(np.concatenate([data.x_train, data.x_test]), data)
    x = FEATURES[name](images, images[:n])
    x = (x - x[:n].mean(axis=0)) / np.maximum(x[:n].std(axis=0), FLOOR)
    return replace(data, x_train=x[:n], x_test=x[n:])


def sparsity_grid(data: Dataset, many: int = 2000) -> list[list[str]]:
    """How many numbers an image becomes, and how many of them are 0 in the first ``many`` training images."""
    images = _pixels(data.x_train[:many], data)
    made = {"pixels": images.reshape(len(images), -1)}
    for e in EXPERIMENTS.values():
        if e.features:
            made[e.about.removesuffix(LINEAR)] = FEATURES[e.features](images, images)
    rows = [[about, str(x.shape[1]), f"{100 * (x == 0).mean():.1f} %"] for about, x in made.items()]
    return [["features", "numbers for an image", "of these are 0"], *rows]
