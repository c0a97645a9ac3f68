"""Data sets: load or download the known ones, read pictures of single digits, and read your own images."""

from dnn.datasets import fashion_mnist, mnist
from dnn.datasets.digits import load_digit_image
from dnn.datasets.download import DatasetError, fetch
from dnn.datasets.image_folder import ImageFolder, load_image, load_image_folder
from dnn.datasets.loading import DATASETS, Dataset, load_dataset

__all__ = [
    "DATASETS", "Dataset", "DatasetError", "ImageFolder", "fashion_mnist", "fetch", "load_dataset",
    "load_digit_image", "load_image", "load_image_folder", "mnist",
]  # fmt: skip
