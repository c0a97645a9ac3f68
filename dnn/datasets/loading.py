"""Load the known data sets: small grey images in ten classes, as flat uint8 rows and integer labels.

mnist, fashion_mnist, kmnist   60,000 + 10,000 images of 28x28, downloaded once and verified
digits                         1,437 + 360 images of 8x8, part of scikit-learn: no download
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from backends.errors import InputError, install_command, reraise
from dnn.datasets.download import DATASET_FOLDERS, DatasetError, fetch
from dnn.datasets.image_folder import ImageFolder
from dnn.settings.checks import look_up
from dnn.typing import Shape

Split = tuple[np.ndarray, np.ndarray]
"""Images (n, ...) uint8 and labels (n,) int64."""
DATASETS = (*DATASET_FOLDERS, "digits")


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels on the host. n_train / n_test are 60,000 / 10,000, or 1,437 / 360 for digits."""

    name: str
    x_train: np.ndarray  # (n_train, height * width) uint8, C-contiguous; (n_train, *image_shape) of a folder
    y_train: np.ndarray  # (n_train,) int64, 0 <= y < classes
    x_test: np.ndarray  # (n_test, height * width) uint8, or as x_train
    y_test: np.ndarray  # (n_test,) int64
    image_shape: Shape  # (height, width); (height, width, channels) of a folder
    classes: int
    class_names: tuple[str, ...] = ()  # of a folder


def load_dataset(name: str, data_dir: str | os.PathLike[str] | None = None, download: bool = True) -> Dataset:
    """Load a data set from disk. Missing files are downloaded first if `download` is True.

    Args:
        name: "mnist", "fashion_mnist", "kmnist" or "digits".
        data_dir, download: as in ``fetch``; not used for digits.
    Returns a Dataset. 255 is ink (or cloth), 0 the background.
    Raises InputError, DatasetError: as ``fetch``, or scikit-learn is not installed.

    >>> data = load_dataset("digits")
    >>> data.x_train.shape, data.y_train.shape, data.x_test.shape
    ((1437, 64), (1437,), (360, 64))
    """
    if isinstance(name, (str, os.PathLike)) and name not in DATASETS and os.path.exists(name):
        cure = "write --images FOLDER for pictures; read tables in Python with pandas.read_csv (docs/guide)"
        raise InputError(f"dataset is the path {name}", f"one of {', '.join(DATASETS)}", cure)
    if look_up("dataset", name, dict.fromkeys(DATASETS, name)) == "digits":
        return _load_digits()
    folder = fetch(name, data_dir, download)
    return Dataset(
        name, *_read_split(folder, "train"), *_read_split(folder, "t10k"), image_shape=(28, 28), classes=10
    )


def split_image_folder(folder: ImageFolder, share: float = 0.8) -> Dataset:
    """Return the pictures of a folder in a mixed order; the first ``share`` of them is the training split.

    The splits are those of ``fit(x[order], y[order], validation_split=1 - share)`` with
    ``order = numpy.random.default_rng(0).permutation(len(x))``.
    """
    x, y, names = folder
    train, test = np.split(np.random.default_rng(0).permutation(len(y)), [int(len(y) * share)])
    return Dataset("images", x[train], y[train], x[test], y[test], x.shape[1:], len(names), names)


def load_images(name: str) -> tuple[Split, Split]:
    """Return (x_train, y_train), (x_test, y_test): images (N, height, width) uint8 and labels (N,).

    ``load_data`` of ``dnn.datasets.mnist`` and ``fashion_mnist`` is this function, as in Keras. Raises as
    ``load_dataset``.
    """
    data = load_dataset(name)
    x_train = data.x_train.reshape(-1, *data.image_shape)
    x_test = data.x_test.reshape(-1, *data.image_shape)
    return (x_train, data.y_train), (x_test, data.y_test)


def _read_split(folder: Path, split: str) -> Split:
    """Read images (n, 784) and labels (n,) of one split, "train" or "t10k", that ``fetch`` has verified.

    torchvision does not read them: it prefers an old processed/training.pt, which is not verified.
    """
    images = np.fromfile(folder / f"{split}-images-idx3-ubyte", np.uint8, offset=16)
    labels = np.fromfile(folder / f"{split}-labels-idx1-ubyte", np.uint8, offset=8)
    return images.reshape(len(labels), -1), labels.astype(np.int64)


def _load_digits() -> Dataset:
    """Load scikit-learn's 1,797 handwritten digits, with values 0..16 scaled to 0..255.

    E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI (1998). The rows are sorted by
    writer, so some writers of the test split (the last 360) are not in the training split.
    """
    got = 'dataset "digits" needs scikit-learn, which cannot be imported'
    with reraise(ImportError, got, "", install_command("sklearn"), DatasetError):
        from sklearn.datasets import load_digits
    x, y = load_digits(return_X_y=True)
    x = np.rint(x * (255 / 16)).astype(np.uint8)
    y = y.astype(np.int64)  # (1797, 64), (1797,)
    n = 1437  # four fifths; the other 360 are the test split
    return Dataset("digits", x[:n], y[:n], x[n:], y[n:], image_shape=(8, 8), classes=10)
