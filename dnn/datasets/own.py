"""Data of one's own: a folder of pictures, and a table of numbers in a CSV file."""

import csv
import os
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backends.errors import InputError, brief, refusing
from dnn.datasets.pictures import grey_pages, open_picture
from dnn.validation.settings import look_up, positive_integer, require, require_list, require_path


class ImageFolder(NamedTuple):
    """Pictures and the numbers of their classes."""

    x: NDArray[np.uint8]  # (N, height, width, channels), or (N, height * width * channels)
    y: NDArray[np.int64]  # (N,)
    classes: tuple[str, ...]  # names, by number


class Table(NamedTuple):
    """What is known of each example, and what is to be learned."""

    x: NDArray[np.float64]  # (N, columns)
    y: NDArray[np.int64 | np.float64]  # (N,), or (N, targets)
    columns: tuple[str, ...]  # names, of x
    classes: tuple[str, ...]  # names, by number; () where the target holds numbers


def load_image_folder(
    path: str | os.PathLike[str], size: tuple[int, int], grey: bool = True, flat: bool = False
) -> ImageFolder:
    """All pictures of a folder that has a folder for each class, ``path/CLASS/FILE``.

    Classes and pictures are in the order of their names; names that begin with a dot are left out.
    Transparency is laid on white, and EXIF orientation is applied.

    Args:
        size: (height, width) to which each is scaled, whatever its own proportions.
        grey: one channel; False: three, red, green and blue.
        flat: a row for each picture, instead of (height, width, channels).
    Raises InputError: no such folder, no class, a class without pictures, or a file that is no picture
    (PNG, JPEG, GIF, BMP, WebP), by name.
    """
    require_list("size", size)
    require(len(size) == 2, "size", size, "(height, width)")
    height, width = (positive_integer("size", side) for side in size)
    folders = [folder for folder in _visible(require_path("path", path)) if folder.is_dir()]
    files = [(number, file) for number, folder in enumerate(folders) for file in _visible(folder)]
    if not folders:
        raise InputError(f"folder {path} holds no folder, expected one for each class")
    x = np.empty((len(files), height, width, 1 if grey else 3), np.uint8)
    for row, (_, file) in zip(x, files, strict=True):
        image = open_picture(file)
        if grey or image.mode.startswith("I"):
            image = grey_pages(image)[0]
        elif image.has_transparency_data:
            layer = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
        image = image.convert("L" if grey else "RGB").resize((width, height), Image.Resampling.BILINEAR)
        row[...] = np.asarray(image).reshape(row.shape)
    y = np.asarray([number for number, _ in files], np.int64)
    return ImageFolder(x.reshape(len(x), -1) if flat else x, y, tuple(folder.name for folder in folders))


def _visible(folder: Path) -> list[Path]:
    """What is in a folder, by name. Raises InputError: it cannot be listed, or holds nothing."""
    with refusing(OSError, f"folder {folder} cannot be listed", "pictures in it"):
        found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not found:
        raise InputError(f"folder {folder} is empty, expected pictures in it")
    return found


def load_csv(path: str | os.PathLike[str], target: str | Sequence[str], delimiter: str = ",") -> Table:
    """A CSV file (UTF-8) whose first line names the columns, and whose others hold numbers.

    ``target`` is the column that is to be learned, or several, each a number then. A column of whole numbers
    is class numbers (or values, for a network with one output); one of text is classes, numbered in the order
    of their names; all other numbers are values.
    Raises InputError: no such file, no such column, a line that is too short or too long, or a cell that
    holds no finite number, by column and example.
    """
    path = require_path("path", path)
    targets = [target] if isinstance(target, str) else target
    require_list("target", targets)
    kinds = OSError, UnicodeError, csv.Error, TypeError, ValueError
    broken = refusing(kinds, f"{path} cannot be read as a CSV file", "lines of numbers")
    with broken, open(path, encoding="utf-8-sig", newline="") as file:
        head, *rows = filter(None, csv.reader(file, delimiter=delimiter, skipinitialspace=True))
    for number, row in enumerate(rows, start=1):
        if len(row) != len(head):
            raise InputError(f"example {number} of {path} has {len(row)} cells, expected {len(head)}")
    cells = dict(zip(map(str.strip, head), zip(*rows, strict=True), strict=False))
    if not rows:
        raise InputError(f"{path} begins with {brief(head)}, and holds no example")
    if len(cells) < len(head) or any(map(_is_number, cells)):
        raise InputError(f"{path} begins with {brief(head)}, expected another name for each column")
    for name in targets:
        look_up("target", name, cells)
    columns = tuple(name for name in cells if name not in targets)
    x = _numbers(path, cells, columns)
    labels = [cell.strip() for cell in cells[target]] if isinstance(target, str) else []
    if "" not in labels and not all(map(_is_number, labels)):
        classes, numbers = np.unique(labels, return_inverse=True)
        return Table(x, numbers.astype(np.int64), columns, tuple(classes.tolist()))
    y = _numbers(path, cells, targets)
    if labels:
        whole = np.abs(y).max() < 2**53 and all(cell.lstrip("+-").isdecimal() for cell in labels)
        y = y.reshape(-1).astype(np.int64 if whole else np.float64)
    return Table(x, y, columns, ())


def _numbers(path: Any, cells: Mapping[str, Sequence[str]], names: Sequence[str]) -> NDArray[np.float64]:
    """(N, columns) of the columns with these names."""
    for name in names:
        for row, cell in enumerate(cells[name], start=1):
            if not _is_number(cell):
                got = f"column {name!r} of {path} holds {brief(cell, 40)!r} for example {row}"
                raise InputError(got, "a finite number")
    return np.ascontiguousarray(np.asarray([cells[name] for name in names], np.float64).T)


def _is_number(cell: str) -> bool:
    try:
        return isfinite(float(cell))
    except ValueError:
        return False
