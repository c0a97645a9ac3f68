"""Convert any picture of one digit into an image like the network's training images.

MNIST's images are bright ink on black. The ink is scaled to 20x20 pixels and its centre of mass is at the
centre of 28x28 pixels (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"). Steps:
picture -> grey page -> ink = |page - background| -> crop -> scale -> centre. Shapes are (height, width).
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from backends.errors import InputError
from dnn.datasets.no_digit import why_no_digit
from dnn.datasets.paper import Floats, Mask, box, covariance, remove_cut_off, remove_frame, remove_lines
from dnn.datasets.pictures import MAX_UPLOAD_MEGAPIXELS, Grey, decode, grey_pages, open_picture, require_size
from dnn.validation.settings import require_bool, require_path

if TYPE_CHECKING:
    from PIL import Image

WORK_SIDE = 300  # pixels; larger pages are averaged down towards this, for less noise and less work
MIN_EDGE = 0.08  # share of the strongest ink; weaker pixels around the ink are JPEG artefacts
MIN_LINE_CONTRAST = 8.0  # of 255, for printed lines
MIN_CONTRAST = 20.0  # of 255; the noise of an empty page is mostly below it
# Shares of the digit's longer side. Thinner strokes, as 1 % of MNIST's are, are widened to STROKE_WIDTH.
MIN_STROKE_WIDTH = 0.06
STROKE_WIDTH = 0.1
MAX_CROSSING_EXTENT = 0.7  # share of the page's width (or height) of ink that reaches two opposite sides
MIN_CROSSING_FILL = 0.8  # share of their box that these pixels fill; strokes that touch two sides fill less
MAX_SHEAR = 1.0  # largest horizontal shift per row that deskewing removes: 45 degrees


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
    if isinstance(path, bytes):
        named: object = "the picture"
        image = decode(io.BytesIO(path), named, MAX_UPLOAD_MEGAPIXELS)
    else:
        named = path
        image = open_picture(require_path("path", path))
    shows = "ink: expected one digit that stands out from its background and has a margin around it"
    for ink, digit in _candidates(image, shape, deskew):
        form = digit if shape == (28, 28) else _fit(ink, (28, 28))
        reason = why_no_digit(form) if only_digits else None
        if reason is None:
            return digit
        shows = f"digit: {reason}"
    raise InputError(f"{named} shows no {shows}")


def _candidates(image: Image.Image, shape: tuple[int, int], deskew: bool) -> Iterator[tuple[Floats, Grey]]:
    """Yield interpretations of the image: its ink, and the digit in `shape`."""
    if image.mode == "L" and not deskew and "transparency" not in image.info:
        pixels = np.array(image)
        if pixels.shape == shape and np.median(pixels[_border(pixels)]) <= MIN_CONTRAST < pixels.max():
            yield pixels.astype(np.float64), pixels
            return
    for page in grey_pages(image, for_ink=True):
        ink = _find_ink(page, max(_ink_shape(shape)))
        if ink is not None:
            ink = _deskew(ink) if deskew else ink
            yield ink, _fit(ink, shape)


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


def _border(pixels: np.ndarray) -> Mask:
    """Return a mask (h, w) that is True on the outer 4 % (at least one pixel) of each side."""
    n = max(1, round(0.04 * min(pixels.shape)))
    border = np.ones(pixels.shape, bool)
    border[n:-n, n:-n] = False
    return border


def _find_ink(page: Image.Image, side: int) -> Floats | None:
    """Return the ink's strength (h, w) >= 0, cropped to the ink, or None.

    None means that the page is blank, or that the ink crosses the page: it reaches two opposite sides, and
    the page is wider. An edge between two areas crosses the page. A closely cropped digit does not.

    The background is bright if the border's median is above the middle between the page's darkest and
    brightest pixel. Subtracting a plane through the border removes a shadow across the page. Otsu's threshold
    or three times the paper's noise, whichever is larger, separates ink from paper. Dust is dropped. Then the
    ink's soft edge, which is weaker than the threshold, is added again.

    Args:
        page: (H, W) in grey.
        side: length in pixels of the ink's longer side in the result.
    """
    page = page.reduce(max(1, max(page.size) // WORK_SIDE))
    grey = np.asarray(page, np.float64)
    large = min(grey.shape) >= 100
    if large:
        grey = remove_frame(grey, _otsu_threshold(grey))
    border = _border(grey)
    bright = np.median(grey[border]) > (grey.min() + grey.max()) / 2
    background, noise = _fit_plane(grey, border)
    ink = background - grey if bright else grey - background
    if large:
        ink = remove_lines(ink, max(4 * noise, MIN_LINE_CONTRAST))
    ink = np.rint(np.clip(ink, 0, 255))
    core = ink > max(_otsu_threshold(ink), 3 * noise)
    if large:
        # Dust is small in both directions: a line one pixel wide fills 5 of 25 pixels, dust fewer.
        core &= _blur(core, 2) >= 50
        core = remove_cut_off(core, _blur(core, 1) > 0)
    if not core.any() or core.all() or ink[core].mean() - ink[~core].mean() < MIN_CONTRAST:
        return None
    rows, columns = box(core)
    extent = sorted((np.ptp(core.nonzero(), axis=1) + 1) / core.shape)
    fill = core[rows, columns].mean()
    if extent[0] < MAX_CROSSING_EXTENT and extent[1] == 1 and fill > MIN_CROSSING_FILL:
        return None
    one_pixel = max(1, round(max(core[rows, columns].shape) / side))  # one pixel of the result
    edge = (_blur(core, one_pixel) > 0) & (ink > max(MIN_EDGE * ink.max(), 4 * noise))
    ink = np.where(core | edge, ink, 0)
    return ink[box(ink > 0)]


def _fit_plane(grey: Floats, border: Mask) -> tuple[Floats, float]:
    """Fit a plane to the border's pixels; return the background (h, w) and the noise around the plane.

    Ink may touch the border: three least-squares fits, each without the outliers of the one before.
    """
    height, width = grey.shape
    y, x = np.mgrid[: 1 : height * 1j, : 1 : width * 1j]
    terms = np.stack([np.ones_like(x), x, y], axis=-1)  # (h, w, 3)
    a = terms[border]
    b = grey[border]
    off = np.abs(b - np.median(b))
    keep = off <= MIN_CONTRAST + 3 * np.median(off)
    noise = 0.0
    for _ in range(3):
        plane = np.linalg.lstsq(a[keep], b[keep], rcond=None)[0]
        off = np.abs(b - a @ plane)
        noise = 1.4826 * float(np.median(off))  # the standard deviation of normal noise
        keep = off <= 3 * noise + 1
    return terms @ plane, noise


def _otsu_threshold(ink: Floats) -> int:
    """Return the threshold in 0..255 that maximizes the variance between the two classes of values (h, w).

    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
    """
    share = np.bincount(ink.astype(np.uint8).ravel(), minlength=256) / ink.size
    cumulative = share.cumsum()
    mean = (share * np.arange(256)).cumsum()
    spread = cumulative * (1 - cumulative)
    between = np.divide((mean[-1] * cumulative - mean) ** 2, spread, out=np.zeros(256), where=spread > 1e-12)
    return int(between.argmax())


def _blur(mask: Mask, radius: int) -> Grey:
    """Return 255 times the share of True pixels in the square of `radius` around each pixel, (h, w)."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.BoxBlur(radius)))


def _ink_shape(shape: tuple[int, int]) -> tuple[int, int]:
    """Return the (height, width) that the ink may fill in an image of `shape`."""
    height, width = (round(side * 20 / 28) if side >= 20 else side for side in shape)
    return height, width


def _deskew(ink: Floats) -> Floats:
    """Shear ink (h, w) along its rows until the covariance of x and y is 0, and crop it to (h, w')."""
    from PIL import Image

    height, width = ink.shape
    (_, xy), (_, yy) = covariance(ink)
    shift = float(np.clip(xy / max(yy, 1.0), -MAX_SHEAR, MAX_SHEAR))
    room = math.ceil(abs(shift) * height)
    corner = -room - shift * np.average(np.arange(height), weights=ink.sum(1))
    size = (width + 2 * room, height)
    data = (1.0, shift, corner, 0.0, 1.0, 0.0)
    page = Image.fromarray(ink.astype(np.float32))
    sheared = page.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    upright = np.asarray(sheared, np.float64)
    return upright[box(upright > 0)]


def _widen(ink: Floats) -> Floats:
    """Widen the strokes of a thin pen in cropped ink (h, w).

    A stroke of width w and length L has an area of w L pixels and an outline of 2 (w + L). If wider strokes
    would merge, as in a scribble, the ink is returned unchanged: the widened area is then less than 0.9 of
    what the new width predicts.
    """
    mask = np.pad(ink > 0.4 * ink.max(), 1)
    outline = np.count_nonzero(np.diff(mask, axis=0)) + np.count_nonzero(np.diff(mask, axis=1))
    width = 2 * np.count_nonzero(mask) / outline
    longer = max(ink.shape)
    radius = round((STROKE_WIDTH * longer - width) / 2)
    if width >= MIN_STROKE_WIDTH * longer or radius < 1:
        return ink
    wide = _blur(np.pad(mask, radius - 1), radius) > 0
    apart = np.count_nonzero(wide) >= 0.9 * np.count_nonzero(mask) * (width + 2 * radius) / width
    return np.where(wide, 255.0, 0.0) if apart else ink


def _fit(ink: Floats, shape: tuple[int, int]) -> Grey:
    """Scale cropped ink (h, w) into an image of `shape` uint8: aspect ratio kept, centre of mass centred."""
    from PIL import Image

    room = _ink_shape(shape)
    ink = _widen(ink)
    scale = min(room[0] / ink.shape[0], room[1] / ink.shape[1])
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    large = Image.fromarray((ink * (255 / ink.max())).astype(np.uint8))
    # BOX averages the covered pixels, which restores an enlarged data-set image almost exactly.
    digit = np.asarray(large.resize((width, height), Image.Resampling.BOX), np.float64)
    digit = digit * (255 / digit.max())  # scaling down makes thin strokes paler
    corner = []
    for axis, side, used in ((0, shape[0], height), (1, shape[1], width)):
        centre = np.average(np.arange(used), weights=digit.sum(1 - axis))
        # MNIST's centres of mass average pixel 14.0 of 0..27, those of the 8x8 digits 3.5 of 0..7.
        middle = side / 2 if side >= 20 else (side - 1) / 2
        corner.append(min(max(round(middle - centre), 0), side - used))
    top, left = corner
    result = np.zeros(shape, np.uint8)
    result[top : top + height, left : left + width] = np.rint(digit)
    return result
