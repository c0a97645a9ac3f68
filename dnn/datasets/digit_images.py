"""Any picture of one digit, turned into the kind of image that the network was trained on.

MNIST's images are bright ink on black, the ink fitted into 20x20 pixels of 28x28 and its centre of
mass in the middle (Y. LeCun, C. Cortes, C. Burges, "The MNIST database of handwritten digits"). The way:
picture -> grey page -> ink = |page - background| -> crop -> fit -> centre. Shapes are (height, width).
"""

import io
import math
import os
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from backends.errors import InputError
from dnn.datasets.no_digit import why_no_digit
from dnn.datasets.paper import Floats, box, without_cut_off, without_frame, without_lines
from dnn.datasets.pictures import (
    MAX_PIXELS,
    MAX_UPLOAD_BYTES,
    MEGAPIXELS,
    Grey,
    decode,
    grey_pages,
    open_picture,
)
from dnn.validation.settings import positive_integer, require, require_bool, require_list, require_path

WORK_SIDE = 300  # larger pages are averaged down towards this: less noise, less work
EDGE = 0.08  # of the strongest ink; below it, what surrounds ink is a JPEG's ripple
LEAST = 8.0  # of 255; the faintest printed line that is looked for
MIN_CONTRAST = 20.0  # of 255; an empty page's own noise is mostly below it
THIN, USUAL = 0.06, 0.1  # of the room: strokes below the first, as 1 % of MNIST's are, become the second
STEEPEST = 1.0  # shift of a row over its height that deskewing takes out at most: 45 degrees


def load_digit_image(
    path: str | os.PathLike[str] | bytes, image_shape: tuple[int, int] = (28, 28), only_digits: bool = False,
    deskew: bool = False,
) -> Grey:  # fmt: skip
    """Read a picture of one digit as the network wants it: bright ink on black, fitted, centred.

    EXIF orientation is applied, transparency laid on white, colour made grey, only the first frame of an
    animation taken. The page may be bright or dark, and unevenly lit. A grey (mode L) image that has exactly
    `image_shape` and a black border is taken as it is: it comes from such a data set.

    Args:
        path: a PNG or JPEG file (GIF, BMP and WebP are read too), or its bytes. Bytes may come from anybody:
            decoded they may take at most MAX_UPLOAD_BYTES.
        image_shape: of the result; as in MNIST the ink fills 20/28 of it, except that below 20
            pixels it fills the frame, as in scikit-learn's 8x8 digits.
        only_digits: refuse what does not look like one of MNIST's digits, see ``why_no_digit``.
        deskew: set slanted digits upright, so that the ink's rows have their means in one column.
    Returns (height, width) uint8, C-contiguous, 0 the background and 255 the strongest ink.
    Raises InputError: the file is missing, no image, truncated, over 50 megapixels, without any ink,
    or no digit.

    >>> load_digit_image("seven.png").shape  # doctest: +SKIP
    (28, 28)
    """
    require_list("image_shape", image_shape)
    shape = tuple(positive_integer("image_shape", side) for side in image_shape)
    if len(shape) != 2:
        raise InputError(f"image_shape is {shape}, expected (height, width), both at least 1")
    require(math.prod(shape) <= MAX_PIXELS, "image_shape", shape, f"at most {MEGAPIXELS} megapixels")
    require_bool("deskew", deskew)
    if isinstance(path, bytes):
        named: object = "the picture"
        image = decode(io.BytesIO(path), named, MAX_UPLOAD_BYTES)
    else:
        named = path
        image = open_picture(require_path("path", path))
    shows = "ink: got a blank or nearly even image, expected one digit that stands out from its background"
    for digit, form in _candidates(image, shape, deskew):
        reason = why_no_digit(form) if only_digits else None
        if reason is None:
            return digit
        shows = f"digit: {reason}"
    raise InputError(f"{named} shows no {shows}")


def _candidates(image: Image.Image, shape: tuple[int, int], deskew: bool) -> Iterator[tuple[Grey, Grey]]:
    """What the image may mean: an image of `shape`, and the same as MNIST's (28, 28)."""
    if image.mode == "L" and not deskew and "transparency" not in image.info:
        pixels = np.array(image)
        if pixels.shape == shape and np.median(pixels[_border(pixels)]) <= MIN_CONTRAST < pixels.max():
            yield pixels, pixels if shape == (28, 28) else _fit(pixels.astype(np.float64), (28, 28))
            return
    for page in grey_pages(image, for_ink=True):
        ink = _find_ink(page, max(_room(shape)))
        if ink is not None:
            ink = _upright(ink) if deskew else ink
            yield _fit(ink, shape), _fit(ink, (28, 28))


def image_shape_of(input_shape: tuple[int, ...]) -> tuple[int, int]:
    """The (height, width) of the images that a model takes, whose input_shape is (pixels,) of a square image,
    (height, width), or (1, height, width). Raises InputError: it is not that of one grey image.

    >>> image_shape_of((784,))
    (28, 28)
    """
    match input_shape:
        case (pixels,) if pixels > 0 and math.isqrt(pixels) ** 2 == pixels:
            return math.isqrt(pixels), math.isqrt(pixels)
        case (height, width) | (1, height, width):
            return height, width
    expected = "that of one grey image: (pixels,) of a square one, (height, width) or (1, height, width)"
    raise InputError(f"input_shape is {tuple(input_shape)}", expected)


def _border(pixels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """(h, w) -> (h, w) True on the outermost 4 % (at least a pixel) of each side."""
    n = max(1, round(0.04 * min(pixels.shape)))
    border = np.ones(pixels.shape, bool)
    border[n:-n, n:-n] = False
    return border


def _find_ink(page: Image.Image, side: int) -> Floats | None:
    """(H, W) grey page -> (h, w) strength of the ink >= 0, cropped to the ink; None if it is blank.

    The background is bright if the border's median lies above the middle between the page's darkest and
    brightest pixel. A plane through the border takes out a shadow across the page. Otsu's threshold, or three
    times the paper's noise, splits ink from paper, dust is dropped, and then the ink's soft edge, weaker than
    the threshold, is taken back in. `side`: pixels that the ink's longer side will have in the result.
    """
    page = page.reduce(max(1, max(page.size) // WORK_SIDE))
    grey = np.asarray(page, np.float64)
    large = min(grey.shape) >= 100
    if large:
        grey = without_frame(grey, _otsu(grey))
    border = _border(grey)
    bright = np.median(grey[border]) > (grey.min() + grey.max()) / 2
    background, noise = _plane(grey, border)
    ink = background - grey if bright else grey - background
    if large:
        ink = without_lines(ink, max(4 * noise, LEAST))
    ink = np.rint(np.clip(ink, 0, 255))
    core = ink > max(_otsu(ink), 3 * noise)
    if large:
        # Dust is small in both directions: a line of one pixel's width fills 5 of 25, dust less.
        core &= _blur(core, 2) >= 50
        core = without_cut_off(core, _blur(core, 1) > 0)
    if not core.any() or core.all() or ink[core].mean() - ink[~core].mean() < MIN_CONTRAST:
        return None
    rows, columns = box(core)
    one_pixel = max(1, round(max(core[rows, columns].shape) / side))  # of the result
    edge = (_blur(core, one_pixel) > 0) & (ink > max(EDGE * ink.max(), 4 * noise))
    ink = np.where(core | edge, ink, 0)
    return ink[box(ink > 0)]


def _plane(grey: Floats, border: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Background (h, w) as a plane through the border's pixels, and their noise about it.
    Fitted three times, the last two without the pixels that lie off it: ink may touch the border.
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
        noise = 1.4826 * float(np.median(off))  # the standard deviation, if the noise is normal
        keep = off <= 3 * noise + 1
    return terms @ plane, noise


def _otsu(ink: Floats) -> int:
    """Threshold in 0..255 that parts the values (h, w) into two classes the farthest apart.
    N. Otsu, "A threshold selection method from gray-level histograms", IEEE Trans. SMC 9 (1979).
    """
    share = np.bincount(ink.astype(np.uint8).ravel(), minlength=256) / ink.size
    below = share.cumsum()
    mean = (share * np.arange(256)).cumsum()
    spread = below * (1 - below)
    between = np.divide((mean[-1] * below - mean) ** 2, spread, out=np.zeros(256), where=spread > 1e-12)
    return int(between.argmax())


def _blur(mask: NDArray[np.bool_], radius: int) -> Grey:
    """Share of True pixels, times 255, in the square of `radius` around each pixel: (h, w)."""
    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.BoxBlur(radius)))


def _room(shape: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that the ink may fill of an image of `shape`."""
    height, width = (round(side * 20 / 28) if side >= 20 else side for side in shape)
    return height, width


def _upright(ink: Floats) -> Floats:
    """(h, w) ink -> (h, w') sheared along its rows until x and y do not vary together, and cropped."""
    height, width = ink.shape
    y, x = np.mgrid[:height, :width]
    (_, xy), (_, yy) = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=ink.ravel(), bias=True)
    shift = float(np.clip(xy / max(yy, 1.0), -STEEPEST, STEEPEST))
    room = math.ceil(abs(shift) * height)
    corner = -room - shift * np.average(y[:, 0], weights=ink.sum(1))
    size = (width + 2 * room, height)
    data = (1.0, shift, corner, 0.0, 1.0, 0.0)
    page = Image.fromarray(ink.astype(np.float32))
    sheared = page.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    upright = np.asarray(sheared, np.float64)
    return upright[box(upright > 0)]


def _widened(ink: Floats) -> Floats:
    """(h, w) cropped ink with a thin pen's strokes made wider.

    A stroke's width w is told by its area, w L pixels, and its outline, 2 (w + L). Strokes that would run
    into each other, as a scribble's, stay as they are: less is gained than their length makes of the width.
    """
    mask = np.pad(ink > 0.4 * ink.max(), 1)
    outline = np.count_nonzero(np.diff(mask, axis=0)) + np.count_nonzero(np.diff(mask, axis=1))
    width = 2 * np.count_nonzero(mask) / outline
    longer = max(ink.shape)
    radius = round((USUAL * longer - width) / 2)
    if width >= THIN * longer or radius < 1:
        return ink
    wide = _blur(np.pad(mask, radius - 1), radius) > 0
    apart = np.count_nonzero(wide) >= 0.9 * np.count_nonzero(mask) * (width + 2 * radius) / width
    return np.where(wide, 255.0, 0.0) if apart else ink


def _fit(ink: Floats, shape: tuple[int, int]) -> Grey:
    """(h, w) cropped ink -> `shape` uint8: aspect kept, scaled into the frame, mass centred."""
    room = _room(shape)
    ink = _widened(ink)
    scale = min(room[0] / ink.shape[0], room[1] / ink.shape[1])
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    large = Image.fromarray((ink * (255 / ink.max())).astype(np.uint8))
    # The mean of the pixels it covers: gives back an enlarged data-set image nearly exactly.
    digit = np.asarray(large.resize((width, height), Image.Resampling.BOX), np.float64)
    digit = digit * (255 / digit.max())  # a thin pen pales when it is scaled down
    corner = []
    for axis, side, used in ((0, shape[0], height), (1, shape[1], width)):
        centre = np.average(np.arange(used), weights=digit.sum(1 - axis))
        # MNIST's own centres of mass average pixel 14.0 of 0..27, the 8x8 digits' 3.5 of 0..7.
        middle = side / 2 if side >= 20 else (side - 1) / 2
        corner.append(min(max(round(middle - centre), 0), side - used))
    top, left = corner
    result = np.zeros(shape, np.uint8)
    result[top : top + height, left : left + width] = np.rint(digit)
    return result
