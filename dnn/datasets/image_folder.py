"""Read a folder of pictures, with one subfolder per class, into arrays."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backends.errors import InputError, reraise
from dnn.datasets.pictures import composite, grey_pages, open_picture, require_size
from dnn.validation.settings import require_bool, require_path


class ImageFolder(NamedTuple):
    """Pictures and their class numbers."""

    x: NDArray[np.uint8]  # (N, height, width, channels), or (N, height * width * channels)
    y: NDArray[np.int64]  # (N,)
    classes: tuple[str, ...]  # class names by number


def load_image_folder(
    path: str | os.PathLike[str], size: tuple[int, int], grey: bool = True, flat: bool = False
) -> ImageFolder:
    """Load all pictures ``path/CLASS/FILE`` of a folder.

    Classes and pictures are sorted by name; names that begin with a dot are skipped. Transparency is
    composited on white, and EXIF orientation is applied.

    Args:
        size: (height, width) that each picture is scaled to; its aspect ratio is not kept.
        grey: True: one channel; False: red, green and blue.
        flat: return x as (N, height * width * channels) instead of (N, height, width, channels).
    Raises InputError: no such folder, no class, a class without pictures, or a file that is not a PNG, JPEG,
    GIF, BMP or WebP picture. The message names it.
    """
    height, width = require_size("size", size)
    grey = require_bool("grey", grey)
    flat = require_bool("flat", flat)
    folders = [folder for folder in _list_visible(require_path("path", path)) if folder.is_dir()]
    files = [(number, file) for number, folder in enumerate(folders) for file in _list_visible(folder)]
    if not folders:
        raise InputError(f"folder {path} holds no folder, expected one for each class")
    x = np.empty((len(files), height, width, 1 if grey else 3), np.uint8)
    for row, (_, file) in zip(x, files, strict=True):
        image = open_picture(file)
        if grey or image.mode.startswith("I"):
            image = grey_pages(image)[0]
        elif image.has_transparency_data:
            image = composite(image, "white")
        image = image.convert("L" if grey else "RGB").resize((width, height), Image.Resampling.BILINEAR)
        row[...] = np.asarray(image).reshape(row.shape)
    y = np.asarray([number for number, _ in files], np.int64)
    return ImageFolder(x.reshape(len(x), -1) if flat else x, y, tuple(folder.name for folder in folders))


def _list_visible(folder: Path) -> list[Path]:
    """Return a folder's visible entries, sorted. Raises InputError: it cannot be listed, or is empty."""
    with reraise(OSError, f"folder {folder} cannot be listed", "pictures in it"):
        found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not found:
        raise InputError(f"folder {folder} is empty, expected pictures in it")
    return found
