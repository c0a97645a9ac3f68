"""Pictures that a model reads: digits, or own pictures as in its training with --images."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backends import InputError
from backends.errors import reraise
from dnn.commands.command_line import print_status
from dnn.datasets import Dataset, load_digit_image, load_image
from dnn.datasets.digits import image_shape_of
from dnn.datasets.image_folder import list_pictures
from dnn.datasets.loading import load_dataset, split_image_folder
from dnn.sequential import Sequential
from dnn.typing import Json, Shape
from dnn.validation.settings import require


class Pictures(NamedTuple):
    """How a model reads pictures."""

    shape: Shape  # (height, width), or (height, width, 3)
    classes: Sequence[str] = ()  # of own pictures; (): digits
    only_digits: bool = False  # reject pictures that show no digit
    deskew: bool = False

    def read(self, picture: Path | bytes) -> np.ndarray:
        """Return the array of a file or of its bytes, uint8 of ``shape``."""
        if not self.classes:
            return load_digit_image(picture, image_shape_of(self.shape), self.only_digits, self.deskew)
        return load_image(picture, self.shape[:2], grey=len(self.shape) == 2).reshape(self.shape)


def picture_shape(model: Sequential) -> Shape:
    """Return (height, width) or (height, width, 3) of a model's input. Raises InputError: no picture."""
    shape = model.input_shape
    return shape if len(shape) == 3 and shape[2] == 3 else image_shape_of(shape)


def class_names(model: Sequential, configs: Sequence[Json], folder: str | None) -> tuple[str, ...]:
    """Return the names of a model's classes, from its training or from a folder; () for digits.

    Raises InputError: the runs, the folder and the model do not have the same classes.
    """
    names, *others = (config["classes"] for config in configs)
    found = () if folder is None else list_pictures(Path(folder), flat=bool(names))[0]
    names = names or found
    if {*found} - {*names} or [*filter(names.__ne__, others)]:
        got = f"the classes are {found or others}"
        raise InputError(got, f"those of the training, {names}")
    if names and model.outputs != len(names):
        raise InputError(f"the model has {model.outputs} outputs", f"one for each class: {', '.join(names)}")
    return names


def open_pictures(
    path: Path, configs: Sequence[Json], model: Sequential, folder: str | None, deskew: bool = False
) -> Pictures:
    """Return how the pictures of the commands predict and draw are read.

    Raises InputError: the model reads other pictures, or tables; the message says how to predict them.
    """
    names = class_names(model, configs, folder)
    if names:
        require(not deskew, "deskew", deskew, "digits, not own pictures")
        return Pictures(picture_shape(model), names)
    cure = (
        f"write --images FOLDER for own pictures, or predict in Python: load_model({str(path)!r}).predict(x)"
    )
    with reraise(InputError, f"{path} does not read digits:", cure=cure):
        shape = image_shape_of(model.input_shape)
        require(model.outputs == 10, "outputs", model.outputs, "10, one per digit")
    if configs[0]["dataset"] is None:
        print_status(
            f"{path} is a saved model: pictures are prepared as for a network that was trained on digits"
        )
    datasets = {config["dataset"] for config in configs}
    return Pictures(shape, (), datasets <= {"mnist", "digits"}, deskew)


def load_test_part(
    name: str, arguments: argparse.Namespace, configs: Sequence[Json], model: Sequential
) -> tuple[np.ndarray, np.ndarray]:
    """Return the test part (x, y) of a data set; of another folder than that of the training, all pictures.

    Classes have the numbers of the training.
    """
    if not os.path.isabs(name):
        data = load_dataset(name, arguments.data_dir)
        return data.x_test, data.y_test
    shape = picture_shape(model)
    skip = arguments.skip_unreadable or configs[0].get("skip_unreadable", False)
    names = class_names(model, configs, name)
    data = split_image_folder(name, shape[:2], len(shape) == 2, skip)
    x = data.x_test
    y = data.y_test
    if name != configs[0]["dataset"]:
        x = np.concatenate([data.x_train, x])
        y = np.concatenate([data.y_train, y])
    numbers = np.array([names.index(label) for label in data.class_names])
    return x.reshape(-1, *model.input_shape), numbers[y]


def load_data(options: argparse.Namespace) -> Dataset:
    """Return the data set of a training. Raises InputError: it cannot be read, or --images was not given."""
    if os.path.isabs(options.dataset):
        data = split_image_folder(options.dataset, options.size, options.grey, options.skip_unreadable)
        n = len(data.y_train) + len(data.y_test)
        expected = "at least two classes, and several pictures of each"
        require(1 < data.classes < n, "images", f"{n} pictures of {data.classes} classes", expected)
        return data
    used = [name for name in ("size", "grey", "skip_unreadable") if getattr(options, name)]
    require(not used, "images", None, f"a folder with --{'--'.join(used)}")
    return load_dataset(options.dataset, options.data_dir)
