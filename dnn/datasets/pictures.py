"""Decode picture files safely, apply their orientation, and convert them to 8-bit grey.

Pillow is imported where a picture is read, because the known data sets do not need it.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from backends.errors import InputError, reraise
from dnn.validation.settings import positive_integer, require, require_list

if TYPE_CHECKING:
    from PIL import Image

Grey = np.ndarray  # uint8
IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")  # excludes formats that run a program, such as EPS
MAX_MEGAPIXELS = 50  # phone photos have 12 to 50; larger files are bombs or mistakes
MAX_PIXELS = MAX_MEGAPIXELS * 1_000_000
MAX_UPLOAD_BYTES = 80_000_000  # memory of a decoded upload
MAX_UPLOAD_PIXELS = 1_000_000  # larger uploads are averaged down to at most this


def require_size(argument: str, value: Sequence[int]) -> tuple[int, int]:
    """Return (height, width). Raises InputError: not two integers from 1, or above 50 megapixels."""
    require_list(argument, value)
    require(len(value) == 2, argument, value, "(height, width)")
    height, width = (positive_integer(argument, side) for side in value)
    require(height * width <= MAX_PIXELS, argument, value, f"at most {MAX_MEGAPIXELS} megapixels")
    return height, width


def require_pillow() -> AbstractContextManager[None]:
    """Return a context for imports of Pillow. Raises InputError: it cannot be imported."""
    return reraise(ImportError, "pictures need Pillow, which cannot be imported", cure="pip install pillow")


def open_picture(path: Path) -> Image.Image:
    """Return the first frame, decoded and upright. Raises InputError, which names the file."""
    if not os.path.exists(path):  # unlike Path.exists, False if a parent folder is not readable
        raise InputError(f"image file {path} does not exist", cure="check the path")
    if not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise InputError(f"{path} is {kind}", "a PNG or JPEG image file")
    return decode(path, path)


def decode(file: Path | BinaryIO, path: object, max_bytes: int | None = None) -> Image.Image:
    """Return the upright first frame of an image file.

    Args:
        file: the file's path, or the open file.
        path: names the file in messages.
        max_bytes: largest memory for the decoded pixels; None: MAX_PIXELS is the only limit. A JPEG above it
            is decoded at a half, a quarter or an eighth of its size, and images of more than
            MAX_UPLOAD_PIXELS pixels are averaged down.
    Raises InputError: not an image, damaged, or too large. The size is checked before decoding.
    """
    with require_pillow():
        from PIL import Image, ImageOps
    try:
        # Pillow warns about big images (the limit below is lower) and odd metadata (harmless here).
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=IMAGE_FORMATS) as image:
            got = f"{image.width}x{image.height} pixels"
            limit = _exceeded_limit(image, max_bytes)
            if limit is None:
                image.load()
                return ImageOps.exif_transpose(image if max_bytes is None else _shrink(image))
    except Exception as error:  # broken files make Pillow raise almost any type, even SyntaxError
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            reason = getattr(error, "strerror", "memory is full")
            raise InputError(f"{path} cannot be read ({reason})") from error
        got = f"{path} cannot be read as an image ({type(error).__name__})"
        expected = f"a complete PNG or JPEG file of at most {MAX_MEGAPIXELS} megapixels"
        raise InputError(got, expected) from error
    of_kind = "" if limit == MAX_MEGAPIXELS else " of its kind"
    expected = f"at most {limit} megapixels{of_kind}"
    raise InputError(f"{path} is too large: got {got}", expected, "scale or crop it")


def _bytes_per_pixel(image: Image.Image) -> int:
    """Return the measured memory per pixel of decoding and ``_shrink``."""
    if image.format == "WEBP":
        return 16
    return {"L": 1, "1": 2, "RGB": 4}.get(image.mode, 8)


def _exceeded_limit(image: Image.Image, max_bytes: int | None) -> int | None:
    """Return the limit in megapixels that an image exceeds, or None if it may be decoded.

    A JPEG of more than ``max_bytes`` is set to decode at a reduced size.
    """
    if image.width * image.height > MAX_PIXELS:
        return MAX_MEGAPIXELS
    if max_bytes is None:
        return None
    max_pixels = max_bytes // _bytes_per_pixel(image)
    if image.width * image.height > max_pixels:
        image.draft(None, (image.width // 2, image.height // 2))  # has no effect on other formats
    return None if image.width * image.height <= max_pixels else max_pixels // 1_000_000


def _shrink(image: Image.Image) -> Image.Image:
    """Average an image down to MAX_UPLOAD_PIXELS pixels, because later steps need several copies of it."""
    factor = math.ceil(math.sqrt(image.width * image.height / MAX_UPLOAD_PIXELS))
    if factor < 2:
        return image
    mode = {"1": "L", "P": "RGBA", "PA": "RGBA"}.get(image.mode, "I" if image.mode.startswith("I;") else None)
    return (image.convert(mode) if mode else image).reduce(factor)


def grey_pages(image: Image.Image, for_ink: bool = False) -> list[Image.Image]:
    """Return versions of the image in 8-bit grey, the most likely one first.

    A transparent image is composited on white, then on black: white ink is invisible on white.

    Args:
        for_ink: treat 16-bit files with values below 4096 as 12-bit.
    """
    from PIL import Image

    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion to 8 bits clips at 255 instead of scaling.
        levels = np.asarray(image, np.float64)
        white = 4095 if for_ink and levels.max() <= 4095 else 65535
        return [Image.fromarray((levels * (255 / white)).astype(np.uint8))]
    if not image.has_transparency_data:
        return [image.convert("L")]
    return [composite(image, colour).convert("L") for colour in ("white", "black")]


def composite(image: Image.Image, colour: str) -> Image.Image:
    """Return a transparent image on a ground of this colour."""
    from PIL import Image

    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, colour), layer)
