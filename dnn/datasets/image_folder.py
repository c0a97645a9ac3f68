"""Read your own pictures into arrays: one picture, or a folder with one subfolder per class."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from backends.errors import InputError, reraise
from dnn.datasets.pictures import composite, grey_pages, open_picture, require_size
from dnn.validation.settings import require_bool, require_path

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp")
# Pictures that are not read. Skipping them would silently lose a part of a class.
OTHER_SUFFIXES = (".tif", ".tiff", ".heic", ".heif", ".avif")
MAX_DEFAULT_SIDE = 256


class ImageFolder(NamedTuple):
    """Pictures and their class numbers."""

    x: np.ndarray  # (N, height, width, channels) uint8
    y: np.ndarray  # (N,) int64
    classes: tuple[str, ...]  # class names by number


def load_image(
    path: str | os.PathLike[str], size: Sequence[int] | None = None, grey: bool = False
) -> np.ndarray:
    """Load one picture in the form of the examples of ``load_image_folder`` with the same size and grey.

    Args:
        size: (height, width) that the picture is scaled to; its aspect ratio is not kept. None: its own size,
            reduced in proportion to at most 256 pixels a side.
        grey: True: one channel, the default of ``load_image_folder``; False: red, green and blue.
    Returns (height, width, channels) uint8, for ``model.predict(load_image(path, size)[None])``.
    Raises InputError: the file is missing, or not a PNG, JPEG, GIF, BMP or WebP picture.
    """
    shape = None if size is None else require_size("size", size)
    grey = require_bool("grey", grey)
    path = require_path("path", path)
    from PIL.Image import Resampling

    image = open_picture(path)
    if grey or image.mode.startswith("I"):
        image = grey_pages(image)[0]
    elif image.has_transparency_data:
        image = composite(image, "white")
    image = image.convert("L" if grey else "RGB")
    scale = min(1, MAX_DEFAULT_SIDE / max(image.size))
    height, width = shape or (max(1, round(side * scale)) for side in (image.height, image.width))
    image = image.resize((width, height), Resampling.BILINEAR)
    return np.array(image).reshape(height, width, -1)


def load_image_folder(
    path: str | os.PathLike[str], size: Sequence[int] | None = None, grey: bool = True
) -> ImageFolder:
    """Load all pictures ``path/CLASS/FILE`` of a folder.

    Classes and pictures are sorted by name. Names that begin with a dot and files without the suffix of a
    picture are skipped. Transparency is composited on white, and EXIF orientation is applied.

    Args:
        size: (height, width) that each picture is scaled to. None: that of ``load_image`` for the first one.
        grey: True: one channel; False: red, green and blue.
    Raises InputError: no such folder, no class, a class without pictures, a folder in a class, or a picture
    that is not a readable PNG, JPEG, GIF, BMP or WebP file. The message names all such pictures.
    """
    path = require_path("path", path)
    size = None if size is None else require_size("size", size)
    grey = require_bool("grey", grey)
    folders, _ = _list_visible(path)
    if not folders:
        raise InputError(f"folder {path} holds no folder", "one with pictures for each class")
    files = [(number, file) for number, folder in enumerate(folders) for file in _list_pictures(folder)]
    x = []
    broken = {}
    for _, file in files:
        try:
            x.append(load_image(file, size, grey))
            size = x[0].shape[:2]
        except InputError as error:
            broken[str(file.relative_to(path))] = error
    if broken:
        got = f"pictures of folder {path} cannot be read: {', '.join(broken)}"
        cure = f"remove or convert them; the first: {next(iter(broken.values()))}"
        raise InputError(got, "PNG, JPEG, GIF, BMP or WebP files", cure)
    y = np.asarray([number for number, _ in files], np.int64)
    return ImageFolder(np.stack(x), y, tuple(folder.name for folder in folders))


def _list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a class. Raises InputError: there are none, or there is a folder."""
    folders, files = _list_visible(folder)
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES + OTHER_SUFFIXES]
    if folders:
        cure = "move it" if pictures else f"call load_image_folder({str(folder)!r})"
        if folder.parent.resolve().is_relative_to(folder.resolve()):
            cure = f"remove the link {folder}, which leads back"
        raise InputError(f"{folders[0]} is a folder", f"only pictures in the class folder {folder}", cure)
    if not pictures:
        raise InputError(f"folder {folder} holds no picture", f"files with the suffix {', '.join(SUFFIXES)}")
    return pictures


def _list_visible(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return a folder's visible folders and files, sorted by name. Raises InputError: it cannot be listed."""
    with reraise(OSError, f"folder {folder} cannot be listed", "pictures in it"):
        # Not paths, which compare without case on Windows.
        entries = [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]
        folders = [entry for entry in entries if entry.is_dir()]
        return folders, [entry for entry in entries if not entry.is_dir()]
