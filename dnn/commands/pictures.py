"""Own pictures: a folder with one folder for each class, that --images names, and the classes of a model."""

import argparse
import os
from pathlib import Path

import numpy as np

from backends import InputError
from dnn.datasets import DATASETS, Dataset, ImageFolder, load_digit_image, load_image, load_image_folder
from dnn.datasets.digits import image_shape_of
from dnn.datasets.image_folder import list_pictures
from dnn.datasets.loading import split_image_folder
from dnn.sequential import Sequential
from dnn.settings.checks import require
from dnn.typing import Json


def own_images(config: Json, model: Sequential, folder: str | None) -> tuple[tuple[str, ...], list[Path]]:
    """Return the names of the classes of own pictures, and the pictures of a folder.

    The names are those of the training, else of the folder; a known data set has none.
    Raises InputError: the model reads other examples, or the folder has other classes.
    """
    found, files = ((), []) if folder is None else list_pictures(folder, flat=True)
    names = config["classes"] or found
    if not names or config["dataset"] in DATASETS:
        return (), files
    if {*found} - {*names}:
        raise InputError(f"{folder} has the classes {found}", f"those of the training, {names}")
    require(len(names) == model.outputs, "outputs", model.outputs, f"one for each class, {names}")
    shape = model.input_shape
    fits = len(shape) == 3 and shape[2] in (1, 3)
    require(fits, "input_shape", shape, "(height, width, channels) of own pictures")
    return names, files


def read_picture(
    picture: Path | bytes, model: Sequential, names: tuple[str, ...], only_digits: bool, deskew: bool = False
) -> np.ndarray:
    """Return the uint8 input of a model for a file or its bytes: an own picture, or without names a digit."""
    shape = model.input_shape
    if not names:
        return load_digit_image(picture, image_shape_of(shape), only_digits, deskew)
    return load_image(picture, shape[:2], grey=shape[2] == 1)


def is_folder(name: str) -> bool:
    """Return whether a data set is the folder of --images, which is absolute, not the name of a known one."""
    return os.path.isabs(name)


def load_own_dataset(options: argparse.Namespace) -> Dataset:
    """Return the data set of a training with --images."""
    folder = load_image_folder(options.dataset, options.size, options.grey, options.skip_unreadable)
    require(len(folder.classes) > 1, "images", options.dataset, "a folder with at least two classes")
    return split_image_folder(folder)


def load_own_test_part(folder: str, skip: bool, config: Json, model: Sequential) -> Dataset:
    """Return the data set of an evaluation with --images. Of another folder all is the test part."""
    names, _ = own_images(config, model, folder)
    require(names != (), "images", folder, "a model of own pictures")
    *size, channels = model.input_shape
    skip = skip or config.get("skip_unreadable", False)
    x, y, found = load_image_folder(folder, size, channels == 1, skip)
    y = np.array([names.index(label) for label in found])[y]
    return split_image_folder(ImageFolder(x, y, names), 0.8 if folder == config["dataset"] else 0.0)
