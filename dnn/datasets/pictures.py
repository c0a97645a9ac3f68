"""Pictures from files: opened with care, upright, and in 8-bit grey."""

import os
import warnings
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from backends.errors import InputError

Grey = NDArray[np.uint8]
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")  # no format that starts a program, such as EPS
MEGAPIXELS = 50  # a phone's photo has 12 to 50; past this it is a trap or a mistake
MAX_PIXELS = MEGAPIXELS * 1_000_000


def open_picture(path: Path) -> Image.Image:
    """The decoded and upright first frame, or InputError with one sentence that names the file."""
    if not os.path.exists(path):  # unlike Path.exists, False where a parent folder is closed to us
        raise InputError(f"image file {path} does not exist; check the path")
    if not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "not a regular file"
        raise InputError(f"{path} is {kind}, expected a PNG or JPEG image file")
    return decoded(path, path)


def decoded(file: Path | BinaryIO, path: object) -> Image.Image:
    """The same for a file, or what is open; ``path`` stands in the sentence."""
    try:
        # Pillow warns of big images (the bound below is lower) and of odd metadata (harmless here).
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height <= MAX_PIXELS:
                image.load()
                return ImageOps.exif_transpose(image)
            got = f"{width}x{height} pixels"
    except Image.DecompressionBombError:
        got = "a far larger one"
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is no image that can be read here, expected a PNG or JPEG file") from error
    except Exception as error:  # a broken file makes Pillow raise nearly any type, SyntaxError too
        got = f"{path} cannot be read as an image ({type(error).__name__}: {error})"
        why = "it may be truncated or damaged, expected a whole PNG or JPEG file"
        raise InputError(f"{got}; {why}") from error
    expected = f"at most {MEGAPIXELS} megapixels"
    raise InputError(f"{path} is too large: got {got}", expected, "scale or crop it")


def grey_pages(image: Image.Image, for_ink: bool = False) -> list[Image.Image]:
    """The image in 8-bit grey; with transparency two pages, on white and then on black.

    The second serves white ink on a transparent ground, which is invisible on white. `for_ink`: 16-bit
    files may hold 12 bits, and red, green and blue follow, for ink that is as light as its paper.
    """
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion to 8 bits clips at 255 instead of scaling.
        levels = np.asarray(image, np.float64)
        white = 4095 if for_ink and levels.max() <= 4095 else 65535
        return [Image.fromarray((levels * (255 / white)).astype(np.uint8))]
    if not image.has_transparency_data:
        colours = image.convert("RGB")
        return [colours.convert("L"), *(colours.split() if for_ink and image.mode not in ("1", "L") else ())]
    layer = image.convert("RGBA")
    grounds = (Image.new("RGBA", layer.size, colour) for colour in ("white", "black"))
    return [Image.alpha_composite(ground, layer).convert("L") for ground in grounds]
