"""Decode picture files safely, apply their orientation, and convert them to 8-bit grey.

Pillow is imported where a picture is read: the known data sets do not need it.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from backends.errors import InputError
from dnn.settings.checks import positive_integer, require, require_list, require_path

if TYPE_CHECKING:
    from PIL import Image

Grey = np.ndarray  # uint8
IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")  # excludes formats that run a program, such as EPS
MAX_MEGAPIXELS = 50  # phone photos have 12 to 50; larger files are bombs or mistakes
MAX_UPLOAD_MEGAPIXELS = 4  # several copies of an upload in 32-bit colour take less than 100 MB


def require_size(argument: str, value: Sequence[int]) -> tuple[int, int]:
    """Return (height, width). Raises InputError: not two integers from 1, or above 50 megapixels."""
    require_list(argument, value)
    require(len(value) == 2, argument, value, "(height, width)")
    height, width = (positive_integer(argument, side) for side in value)
    require(
        height * width <= MAX_MEGAPIXELS * 1_000_000, argument, value, f"at most {MAX_MEGAPIXELS} megapixels"
    )
    return height, width


def open_picture(path: str | os.PathLike[str] | bytes) -> Image.Image:
    """Return the first frame of a file or of its bytes, decoded and upright. Raises InputError.

    Bytes may be untrusted: their size is at most MAX_UPLOAD_MEGAPIXELS.
    """
    if isinstance(path, bytes):
        return decode(io.BytesIO(path), "the picture", MAX_UPLOAD_MEGAPIXELS)
    path = require_path("path", path)
    if not os.path.isfile(path):  # unlike Path.is_file, False if a parent folder is not readable
        raise InputError(f"{path} is not an existing file", "a PNG or JPEG image file")
    return decode(path, path)


def decode(file: Path | BinaryIO, path: object, megapixels: int = MAX_MEGAPIXELS) -> Image.Image:
    """Return the upright first frame of an image file.

    Args:
        file: the file's path, or the open file.
        path: names the file in messages.
        megapixels: largest size. A JPEG above it is decoded at a quarter of its height and width.
    Raises InputError: not an image, damaged, or too large. The size is checked before decoding.
    """
    from PIL import Image, ImageOps

    limit = f"at most {megapixels} megapixels"
    try:
        # Pillow warns about big images (the limit below is lower) and odd metadata (harmless here).
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=IMAGE_FORMATS) as image:
            got = f"{image.width}x{image.height} pixels"
            if megapixels < image.width * image.height / 1e6 <= MAX_MEGAPIXELS:
                image.draft(None, (image.width // 4, image.height // 4))  # has no effect on other formats
            if image.width * image.height / 1e6 <= megapixels:
                image.load()
                return ImageOps.exif_transpose(image)
    except Exception as error:  # broken files make Pillow raise almost any type, even SyntaxError
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            reason = getattr(error, "strerror", "memory is full")
            raise InputError(f"{path} cannot be read ({reason})") from error
        got = f"{path} cannot be read as an image ({type(error).__name__})"
        raise InputError(got, f"a complete PNG or JPEG file of {limit}") from error
    raise InputError(f"{path} is too large: got {got}", limit, "scale or crop it")


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
