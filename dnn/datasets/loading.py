"""The data sets: small grey images in ten classes, as flat uint8 rows and integer labels.

mnist, fashion_mnist, kmnist   60,000 + 10,000 images of 28x28, fetched once and verified
digits                         1,437 + 360 images of 8x8, a part of scikit-learn: no download
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.errors import install_command, reraise
from dnn.datasets.download import FOLDERS, DatasetError, fetch, quiet
from dnn.validation.settings import look_up

DATASETS = (*FOLDERS, "digits")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels, held once, on the host. n is 60,000 / 10,000, or 1,437 / 360 for digits."""

    name: str
    x_train: NDArray[np.uint8]  # (n_train, height * width), C-contiguous
    y_train: NDArray[np.int64]  # (n_train,), 0 <= y < classes
    x_test: NDArray[np.uint8]  # (n_test, height * width)
    y_test: NDArray[np.int64]  # (n_test,)
    image_shape: tuple[int, int]  # (height, width)
    classes: int


def load_dataset(name: str, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """Load a data set from disk; what is missing is fetched first, unless `download` forbids it.

    Args:
        name: "mnist", "fashion_mnist", "kmnist" or "digits".
        data_dir, download: as in ``fetch``; not used for digits.
    Returns a Dataset; bright (255) is ink, or cloth, and black (0) the background.
    Raises InputError, DatasetError: as ``fetch``; scikit-learn is not installed.

    >>> data = load_dataset("digits")
    >>> data.x_train.shape, data.y_train.shape, data.x_test.shape
    ((1437, 64), (1437,), (360, 64))
    """
    if look_up("dataset", name, dict.fromkeys(DATASETS, name)) == "digits":
        return _load_digits()
    folder = fetch(name, data_dir, download)
    return Dataset(name, *_read(folder, "train"), *_read(folder, "t10k"), image_shape=(28, 28), classes=10)


def _read(folder: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """(n, 784) images and (n,) labels of one part, "train" or "t10k"; ``fetch`` has checked them.
    Not read by torchvision: it prefers an old processed/training.pt, which nothing has verified.
    """
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8, offset=8)
    return images.reshape(len(labels), -1), labels.astype(np.int64)


def _load_digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits; values 0..16 become 0..255.

    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998). The rows are in the order
    of their writers: some of the last 360, the test part, are by writers that are not in the training part.
    """
    got = 'dataset "digits" needs scikit-learn, which cannot be imported'
    with reraise(ImportError, got, "", install_command("apps"), DatasetError), quiet():
        from sklearn.datasets import load_digits
    x, y = load_digits(return_X_y=True)
    x = np.rint(x * (255 / 16)).astype(np.uint8)
    y = y.astype(np.int64)  # (1797, 64), (1797,)
    n = 1437  # four fifths, and 360 are left
    return Dataset("digits", x[:n], y[:n], x[n:], y[n:], image_shape=(8, 8), classes=10)
