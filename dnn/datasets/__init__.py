"""Data sets: loading them, fetching what is missing, and pictures of single digits."""

from dnn.datasets.digit_images import load_digit_image
from dnn.datasets.download import DatasetError, fetch
from dnn.datasets.loading import DATASETS, Dataset, load_dataset

__all__ = ["DATASETS", "Dataset", "DatasetError", "fetch", "load_dataset", "load_digit_image"]
