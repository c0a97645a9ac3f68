"""Read your own pictures into arrays: one picture, or a folder with one subfolder per class."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backends.errors import InputError, reraise, shorten
from dnn.datasets.pictures import composite, grey_pages, open_picture, require_size
from dnn.io.notices import warn
from dnn.keras_names import checks_keywords
from dnn.settings.checks import require_bool, require_path

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".gif", ".bmp", ".webp")
# Pictures that are not read. Skipping them would silently lose a part of a class.
OTHER_SUFFIXES = (".tif", ".tiff", ".heic", ".heif", ".avif")
MAX_DEFAULT_SIDE = 256


class ImageFolder(NamedTuple):
    """Pictures and their class numbers."""

    x: np.ndarray  # (N, height, width, channels) uint8
    y: np.ndarray  # (N,) int64
    classes: tuple[str, ...]  # class names by number


@checks_keywords
def load_image(
    path: str | os.PathLike[str] | bytes, size: Sequence[int] | None = None, grey: bool = False
) -> np.ndarray:
    """Load one picture in the form of the examples of ``load_image_folder`` with the same size and grey.

    Args:
        path: a file, or its bytes, which may be untrusted; see ``load_digit_image``.
        size: (height, width) that the picture is scaled to; its aspect ratio is not kept. None: its own size,
            reduced in proportion to at most 256 pixels a side.
        grey: True: one channel; False: red, green and blue.
    Returns (height, width, channels) uint8, for ``model.predict(load_image(path, size)[None])``.
    Raises InputError: the file is missing, or not a PNG, JPEG, GIF, BMP or WebP picture.
    """
    shape = None if size is None else require_size("size", size)
    grey = require_bool("grey", grey)
    return _to_array(open_picture(path), shape, grey)


def _to_array(image: Image.Image, size: tuple[int, int] | None, grey: bool) -> np.ndarray:
    from PIL.Image import Resampling

    if grey or image.mode.startswith("I"):
        image = grey_pages(image)[0]
    elif image.has_transparency_data:
        image = composite(image, "white")
    image = image.convert("L" if grey else "RGB")
    scale = min(1, MAX_DEFAULT_SIDE / max(image.size))
    height, width = size or (max(1, round(side * scale)) for side in (image.height, image.width))
    image = image.resize((width, height), Resampling.BILINEAR)
    return np.array(image).reshape(height, width, -1)


@checks_keywords
def load_image_folder(
    path: str | os.PathLike[str], size: Sequence[int] | None = None, grey: bool = False,
    skip_unreadable: bool = False,
) -> ImageFolder:  # fmt: skip
    """Load all pictures ``path/CLASS/FILE`` of a folder; a notice states their sizes, channels and classes.

    Classes and pictures are sorted by name. Names that begin with a dot and files without the suffix of a
    picture are skipped. Transparency is composited on white, and EXIF orientation is applied.

    Args:
        size: (height, width) that each picture is scaled to. None: that of ``load_image`` for the first one.
        grey: True: one channel; False: red, green and blue.
        skip_unreadable: leave out pictures that are not readable PNG, JPEG, GIF, BMP or WebP files, with a
            warning that names them.
    Raises InputError: no such folder, no class, a class without pictures, a folder in a class, or pictures
    that cannot be read. The message names all such pictures.
    """
    shape = None if size is None else require_size("size", size)
    grey = require_bool("grey", grey)
    require_bool("skip_unreadable", skip_unreadable)
    names, files = list_pictures(path)
    path = Path(path)
    x = []
    y = []
    sizes = set()
    unreadable = {}
    for file in files:
        try:
            image = open_picture(file)
        except InputError as error:
            unreadable[str(file.relative_to(path))] = error
            continue
        x.append(_to_array(image, shape, grey))
        y.append(names.index(file.parent.name))
        sizes.add((image.height, image.width))
        shape = x[0].shape[:2]
    if unreadable:
        got = f"pictures of folder {path} cannot be read: {', '.join(unreadable)}"
        if not skip_unreadable:
            skip = "skip them with skip_unreadable=True (--skip-unreadable)"
            cure = f"remove or convert them, or {skip}; the first: {next(iter(unreadable.values()))}"
            raise InputError(got, "PNG, JPEG, GIF, BMP or WebP files", cure)
        warn(f"{len(unreadable)} {got}; they are skipped")
    if empty := {*range(len(names))} - {*y}:
        got = f"folder {path / names[min(empty)]} holds no picture that can be read"
        raise InputError(got, "at least one for each class")
    found = f"{len(x)} pictures of (height, width) {' to '.join(map(str, sorted({min(sizes), max(sizes)})))}"
    warn(f"{path}: {found}, read as {x[0].shape}, and {len(names)} classes: {shorten(', '.join(names))}")
    return ImageFolder(np.stack(x), np.asarray(y, np.int64), names)


def list_pictures(path: str | os.PathLike[str], flat: bool = False) -> tuple[tuple[str, ...], list[Path]]:
    """Return the names of the classes and the pictures of all classes.

    Args:
        flat: allow a folder without folders, whose own pictures are returned, without classes.
    Raises InputError: as ``load_image_folder``, but no picture is read.
    """
    path = require_path("path", path)
    folders, _ = _list_visible(path)
    if not folders and not flat:
        raise InputError(f"folder {path} holds no folder", "one with pictures for each class")
    files = [file for folder in folders or [path] for file in _list_class(folder)]
    return tuple(folder.name for folder in folders), files


def _list_class(folder: Path) -> list[Path]:
    """Return the pictures of a class. Raises InputError: there are none, or there is a folder."""
    folders, files = _list_visible(folder)
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES + OTHER_SUFFIXES]
    if folders:
        cure = "move it" if pictures else f"load the folder {folder} if its folders are the classes"
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
