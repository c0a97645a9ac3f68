"""A folder of pictures as arrays, with a folder for each class."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from backends.errors import InputError, reraise
from dnn.datasets.pictures import MAX_PIXELS, MEGAPIXELS, grey_pages, open_picture
from dnn.validation.settings import positive_integer, require, require_list, require_path


class ImageFolder(NamedTuple):
    """Pictures and the numbers of their classes."""

    x: NDArray[np.uint8]  # (N, height, width, channels), or (N, height * width * channels)
    y: NDArray[np.int64]  # (N,)
    classes: tuple[str, ...]  # names, by number


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
    require(height * width <= MAX_PIXELS, "size", size, f"at most {MEGAPIXELS} megapixels")
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
    with reraise(OSError, f"folder {folder} cannot be listed", "pictures in it"):
        found = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    if not found:
        raise InputError(f"folder {folder} is empty, expected pictures in it")
    return found
