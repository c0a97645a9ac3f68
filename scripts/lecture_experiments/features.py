"""Hand-crafted image features, as used before networks learned from pixels.

zoning   the mean of each of 7 x 7 zones
pca      projection onto the first 50 principal components of the training images (K. Pearson 1901)
hog      histogram of oriented gradients: 9 directions in each zone, normalised over blocks of 2 x 2 zones
         (N. Dalal and B. Triggs, "Histograms of oriented gradients for human detection", CVPR 2005)
"""

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from backends.errors import install_command, reraise
from dnn.datasets import Dataset

ZONES_PER_SIDE = 7
N_COMPONENTS = 50
ZEROS_IMAGES = 2000
MIN_DEVIATION = 0.01
"""Lower limit of a feature's standard deviation in the division, so that nearly constant ones stay small."""


def compute_features(name: str, images: Any, train: Any) -> Any:
    """Return the features (n, k) of images (n, height, width) in [0, 1].

    Args:
        train: images (n_train, height, width) from which the principal components are computed.
    Raises InputError: scikit-learn or scikit-image is missing.
    """
    with reraise(ImportError, "features cannot be computed", cure=install_command("apps")):
        from skimage.feature import hog
        from skimage.measure import block_reduce
        from sklearn.decomposition import PCA
    cell = max(1, images.shape[1] // ZONES_PER_SIDE)
    if name == "zoning":
        mean_of: Any = block_reduce  # has no type annotations
        return mean_of(images, (1, cell, cell), np.mean).reshape(len(images), -1)
    if name == "pca":
        flat = train.reshape(len(train), -1)
        model = PCA(min(N_COMPONENTS, *flat.shape), random_state=0).fit(flat)
        return model.transform(images.reshape(len(images), -1))
    shape = {"pixels_per_cell": (cell, cell), "cells_per_block": (2, 2)}
    return np.stack([hog(image, orientations=9, block_norm="L2", **shape) for image in images])


def with_features(name: str, data: Dataset) -> tuple[Dataset, float]:
    """Return the data with features in place of images, standardised by the training part.

    With the name "" the data are unchanged. Also return the per cent of zeros among the features of the first
    ZEROS_IMAGES training images, before they are standardised.
    """
    n = len(data.x_train)
    if not name:
        return data, 100 * float(np.mean(data.x_train[:ZEROS_IMAGES] == 0))
    images = np.concatenate([data.x_train, data.x_test]).reshape(-1, *data.image_shape)
    x = _cached_features(name, images.tobytes(), images.shape, n)
    zeros = 100 * float(np.mean(x[: min(n, ZEROS_IMAGES)] == 0))
    x = (x - x[:n].mean(axis=0)) / np.maximum(x[:n].std(axis=0), MIN_DEVIATION)
    return replace(data, x_train=x[:n], x_test=x[n:]), zeros


@lru_cache(maxsize=4)
def _cached_features(name: str, pixels: bytes, shape: tuple[int, ...], n: int) -> Any:
    images = np.frombuffer(pixels, np.uint8).reshape(shape) / np.float32(255)
    return compute_features(name, images, images[:n]).astype(np.float32)
