"""Convert any picture of one digit into an image like the network's training images.

MNIST's images are bright ink on black. The ink is scaled to 20x20 pixels and its centre of mass is at the
centre of 28x28 pixels (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"). Steps:
picture -> grey page -> ink = |page - paper| -> crop -> scale -> centre. Shapes are (height, width).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from backends.errors import InputError
from dnn.datasets.digits.form import Floats, border_of, deskewed, fit, ink_shape
from dnn.datasets.digits.no_digit import why_no_digit
from dnn.datasets.digits.photo import find_ink
from dnn.datasets.pictures import Grey, grey_pages, open_picture, require_size
from dnn.settings.checks import require_bool

if TYPE_CHECKING:
    from PIL import Image

WORK_SIDE = 300  # pixels; larger pages are averaged down towards this, for less noise and less work
MAX_BLACK = 20  # of 255; the border of a training image


def load_digit_image(
    path: str | os.PathLike[str] | bytes, image_shape: tuple[int, int] = (28, 28), only_digits: bool = False,
    deskew: bool = False,
) -> Grey:  # fmt: skip
    """Read a picture of one digit in the form of the training images: bright ink on black, scaled, centred.

    EXIF orientation is applied, transparency is composited on white, colour becomes grey, and only the first
    frame of an animation is read. The page may be bright or dark, and unevenly lit. A grey (mode L) image
    with exactly `image_shape` and a black border is taken for a training image and returned unchanged.

    Args:
        path: a PNG or JPEG file (GIF, BMP and WebP are read too), or its bytes. Bytes may be untrusted, so
            their size is limited, see MAX_UPLOAD_MEGAPIXELS.
        image_shape: (height, width) of the result. As in MNIST, the ink fills 20/28 of it; sides below 20
            pixels are filled, as in scikit-learn's 8x8 digits.
        only_digits: reject images that do not look like MNIST's digits, see ``why_no_digit``.
        deskew: shear slanted digits until the means of their rows are in one column.
    Returns (height, width) uint8, C-contiguous; 0 is the background and 255 the strongest ink.
    Raises InputError: the file is missing, not an image, truncated, over 50 megapixels, without any ink, or
    not a digit.

    >>> load_digit_image("seven.png").shape  # doctest: +SKIP
    (28, 28)
    """
    shape = require_size("image_shape", image_shape)
    require_bool("deskew", deskew)
    image = open_picture(path)
    shows = "ink: expected one digit that stands out from its background and has a margin around it"
    for ink, digit in _candidates(image, shape, deskew):
        form = digit if shape == (28, 28) else fit(ink, (28, 28))
        reason = why_no_digit(form) if only_digits else None
        if reason is None:
            return digit
        shows = f"digit: {reason}"
    raise InputError(f"{'the picture' if isinstance(path, bytes) else path} shows no {shows}")


def _candidates(image: Image.Image, shape: tuple[int, int], deskew: bool) -> Iterator[tuple[Floats, Grey]]:
    """Yield interpretations of the image: its ink, and the digit in `shape`."""
    if image.mode == "L" and not deskew and "transparency" not in image.info:
        pixels = np.array(image)
        if pixels.shape == shape and np.median(pixels[border_of(pixels)]) <= MAX_BLACK < pixels.max():
            yield pixels.astype(np.float64), pixels
            return
    for page in grey_pages(image, for_ink=True):
        page = page.reduce(max(1, max(page.size) // WORK_SIDE))
        ink = find_ink(np.asarray(page, np.float64), int(max(ink_shape(np.array(shape)))))
        if ink is not None:
            ink = deskewed(ink) if deskew else ink
            yield ink, fit(ink, shape)


def image_shape_of(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (height, width) of a model's input images.

    Args:
        input_shape: (pixels,) of a square image, (height, width), (1, height, width) or (height, width, 1).
    Raises InputError: it is not the shape of one grey image.

    >>> image_shape_of((784,))
    (28, 28)
    """
    match input_shape:
        case (pixels,) if pixels > 0 and math.isqrt(pixels) ** 2 == pixels:
            return math.isqrt(pixels), math.isqrt(pixels)
        case (height, width) | (1, height, width) | (height, width, 1):
            return height, width
    expected = "the shape of one grey image: (pixels,) of a square, (height, width) or (height, width, 1)"
    raise InputError(f"input_shape is {tuple(input_shape)}", expected)
