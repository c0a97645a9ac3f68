"""Scale and centre ink as in the training images; thin strokes are widened first. Measures of masks."""

from collections.abc import Iterator

import numpy as np

from dnn.datasets.pictures import Grey

Floats = np.ndarray  # float64
Mask = np.ndarray  # bool

BORDER = 0.04  # share of the page's shorter side
# Shares of the digit's longer side. Thinner strokes, as 1 % of MNIST's are, are widened to STROKE_WIDTH.
MIN_STROKE_WIDTH = 0.06
STROKE_WIDTH = 0.1
MAX_SHEAR = 1.0  # largest horizontal shift per row that deskewing removes: 45 degrees


def fit(ink: Floats, shape: tuple[int, int]) -> Grey:
    """Scale cropped ink (h, w) into an image of `shape` uint8: aspect ratio kept, centre of mass centred."""
    from PIL import Image

    ink = _widen(ink)
    sides = np.array(shape)
    scale = min(ink_shape(sides) / ink.shape)
    height, width = (max(1, round(side * scale)) for side in ink.shape)
    # BOX averages the covered pixels, which restores an enlarged data-set image almost exactly.
    large = Image.fromarray((ink * (255 / ink.max())).astype(np.uint8))
    digit = np.asarray(large.resize((width, height), Image.Resampling.BOX), np.float64)
    digit = digit * (255 / digit.max())  # scaling down makes thin strokes paler
    centre = (np.indices(digit.shape) * digit).sum((1, 2)) / digit.sum()
    # MNIST's centres of mass average pixel 14.0 of 0..27, those of the 8x8 digits 3.5 of 0..7.
    middle = np.where(sides >= 20, sides, sides - 1) / 2
    free = sides - digit.shape
    before = np.rint(middle - centre).clip(0, free).astype(int)
    return np.pad(np.rint(digit).astype(np.uint8), np.stack([before, free - before], axis=1))


def ink_shape(sides: np.ndarray) -> np.ndarray:
    """Return the sides (2,) that the ink may fill in an image with these sides (2,)."""
    return np.where(sides >= 20, np.rint(sides * 20 / 28), sides)


def _widen(ink: Floats) -> Floats:
    """Widen the strokes of a thin pen in cropped ink (h, w).

    A stroke of width w and length L has an area of w L pixels and an outline of 2 (w + L). If wider strokes
    would merge, as in a scribble, the ink is returned unchanged: the widened area is then less than 0.9 of
    what the new width predicts.
    """
    mask = ink > 0.4 * ink.max()
    area = mask.sum()
    width = 2 * area / outline_of(mask)
    longer = max(ink.shape)
    radius = round((STROKE_WIDTH * longer - width) / 2)
    if width >= MIN_STROKE_WIDTH * longer or radius < 1:
        return ink
    wide = blur(np.pad(mask, radius), radius) > 0
    apart = wide.sum() >= 0.9 * area * (width + 2 * radius) / width
    return np.where(wide, 255.0, 0.0) if apart else ink


def deskewed(ink: Floats) -> Floats:
    """Shear ink (h, w) along its rows until the covariance of x and y is 0, and crop it to (h, w')."""
    from PIL import Image

    height, width = ink.shape
    (yy, xy), _ = covariance(ink)
    shift = float(np.clip(xy / max(yy, 1.0), -MAX_SHEAR, MAX_SHEAR))
    corner = -height - shift * np.average(np.arange(height), weights=ink.sum(1))
    size = (width + 2 * height, height)
    data = (1.0, shift, corner, 0.0, 1.0, 0.0)
    page = Image.fromarray(ink.astype(np.float32))
    sheared = page.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    upright = np.asarray(sheared, np.float64)
    return upright[box(upright > 0)]


def outline_of(mask: Mask) -> int:
    """Return the number of pixel edges between True and False in (h, w), where all around it is False."""
    padded = np.pad(mask, 1)
    return int(np.diff(padded, axis=0).sum() + np.diff(padded, axis=1).sum())


def border_of(pixels: np.ndarray) -> Mask:
    """Return a mask (h, w) that is True on the pixels near each side, at least one."""
    n = max(1, round(BORDER * min(pixels.shape)))
    border = np.ones(pixels.shape, bool)
    border[n:-n, n:-n] = False
    return border


def covariance(ink: Floats) -> Floats:
    """Return the covariance (2, 2) of y and x, where y points down, over ink (h, w)."""
    return np.cov(np.indices(ink.shape).reshape(2, -1), aweights=ink.ravel(), bias=True)


def box(mask: Mask) -> tuple[slice, slice]:
    """Return the (row, column) slices of the bounding box of the True pixels of (h, w)."""
    rows, columns = (slice(where.min(), where.max() + 1) for where in mask.nonzero())
    return rows, columns


def blur(mask: Mask, radius: int) -> Grey:
    """Return 255 times the share of True pixels in the square of `radius` around each pixel, (h, w)."""
    from PIL import Image, ImageFilter

    return np.asarray(Image.fromarray(mask).convert("L").filter(ImageFilter.BoxBlur(radius)))


def components(mask: Mask) -> Iterator[Mask]:
    """Yield the 4-connected components of a mask (h, w), the largest first, each as a mask (h, w)."""
    from PIL import Image, ImageDraw

    image = Image.fromarray(mask.astype(np.int32))
    for number, (y, x) in enumerate(np.argwhere(mask).tolist(), 2):
        if image.getpixel((x, y)) == 1:
            ImageDraw.floodfill(image, (x, y), number)
    labels = np.asarray(image)
    names, sizes = np.unique(labels[mask], return_counts=True)
    for name in names[np.argsort(-sizes)]:
        yield labels == name
