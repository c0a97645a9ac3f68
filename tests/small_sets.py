"""A MNIST of a few images and its files; the fixtures that use it are in conftest.py."""

from dataclasses import replace

import numpy as np

from dnn.datasets import download as fetching
from dnn.datasets import load_dataset

REAL_MD5 = {name: md5 for name, (_, md5) in fetching.RAW_FILES.items()}
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def idx_bytes(*numbers, content=b""):
    return b"".join(number.to_bytes(4, "big") for number in numbers) + content


def small_set():
    rng = np.random.default_rng(0)
    files = {}
    for part, n in (("train", 5), ("t10k", 3)):
        pixels = rng.integers(0, 256, n * 784, dtype=np.uint8).tobytes()
        files[f"{part}-images-idx3-ubyte"] = idx_bytes(2051, n, 28, 28, content=pixels)
        files[f"{part}-labels-idx1-ubyte"] = idx_bytes(2049, n, content=bytes(range(n)))
    return files


def large_digits():
    """Return scikit-learn's digits in the middle of 28 x 28 pixels."""
    data = load_dataset("digits")
    x_train, x_test = (
        np.pad(x.reshape(-1, 8, 8), ((0, 0), (10, 10), (10, 10))).reshape(-1, 784)
        for x in (data.x_train, data.x_test)
    )
    return replace(data, x_train=x_train, x_test=x_test, image_shape=(28, 28))


def write_raw_files(root, files, folder="MNIST"):
    raw = root / folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (raw / name).write_bytes(content)
    return raw


def names_in(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()
