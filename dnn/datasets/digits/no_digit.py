"""Reject pictures that cannot be a digit, by limits on the shape of MNIST's digits.

The limits reject 0.48 % of MNIST's last 10,000 training digits, which were held out, and 0.40 % of its test
digits; tests/dnn/datasets/test_no_digit.py measures it. v (28, 28) is the strength of the ink in [0, 1], ink
is v > 0.4, and a run is a sequence of neighbouring ink pixels in a row.
"""

import numpy as np

from dnn.datasets.digits.form import Mask, box, components, covariance, outline_of
from dnn.datasets.pictures import Grey

MIN_OUTLINE = 0.38  # pixel edges of the outline per ink pixel
MAX_OUTLINE = 170  # pixel edges of the outline
MAX_VARIANCE_RATIO = 3.7  # variance of the ink along x / along y
MAX_CORRELATION = 0.92  # of x and y (y points down)
MAX_VARIANCE = 78.0  # pixels^2; sum of the variances along x and y
MAX_ROW_RUNS = 2.2  # mean number of runs per row
MAX_SECOND_INK = 0.31  # second largest component's share of the ink
MAX_SECOND_HEIGHT = 0.41  # second largest component's share of the height
STEM_SIDE = 0.2  # share of the width, on the left, in which the letters B, E and H have a stem
MIN_STEM_ASPECT = 0.6  # width / height of the ink; narrower ink may be a 1
MAX_STEM = 0.95  # share of the height that one column of the left side may fill
MAX_FEET_DISTANCES = {0.5: 0.3, 0.25: 0.7}
"""Lower share of the height: largest share of the width between two strokes that stand in it."""


def why_no_digit(image: Grey) -> str | None:
    """Return why a (28, 28) image from ``load_digit_image`` is not a digit, or None if it may be one.

    >>> why_no_digit(np.pad(np.full((20, 20), 255, np.uint8), 4))
    'it is a filled area, not a pen stroke'
    """
    v = image / image.max()
    ink = v > 0.4
    pieces = [piece for piece in components(v > 0.2) if piece.sum() > 3]
    rows, columns = box(ink)
    height = rows.stop - rows.start
    row_runs = np.count_nonzero(np.diff(ink, axis=1, prepend=False) & ink)
    outline = outline_of(ink)
    (yy, xy), (_, xx) = covariance(v)
    if outline < MIN_OUTLINE * ink.sum():
        return "it is a filled area, not a pen stroke"
    for second in pieces[1:2]:
        is_tall = np.ptp(second.nonzero()[0]) + 1 > MAX_SECOND_HEIGHT * height
        if is_tall and second.sum() > MAX_SECOND_INK * (v > 0.2).sum():
            return "it shows two or more digits: crop it to one"
    if xx > MAX_VARIANCE_RATIO * yy:
        return "it is too wide for one digit: a horizontal line, or several digits"
    if row_runs > MAX_ROW_RUNS * height or outline > MAX_OUTLINE:
        return "it has more strokes than a digit: several digits, a text or a pattern"
    if xx + yy > MAX_VARIANCE:
        return "its ink is far from the centre, like a frame"
    if xy > MAX_CORRELATION * np.sqrt(xx * yy):
        return "it is a line that falls from left to right"
    return _why_letter(ink[rows, columns])


def _why_letter(ink: Mask) -> str | None:
    """Return why cropped ink (h, w) is a letter with a stem or two feet, such as B, H or A, or None."""
    height, width = ink.shape
    left = ink[:, : max(1, round(STEM_SIDE * width))]
    if width >= MIN_STEM_ASPECT * height and left.mean(axis=0).max() > MAX_STEM:
        return "it has a stem on its left, like the letters B, E and H"
    for share, distance in MAX_FEET_DISTANCES.items():
        lower = ink[-max(3, round(share * height)) :]
        pieces = (piece for piece in components(lower) if piece[-1].any())
        feet = [piece.nonzero()[1].mean() for piece in pieces if piece.any(axis=1).sum() >= len(lower) - 1]
        if feet and max(feet) - min(feet) > distance * width:
            return "it stands on two feet, like the letters A, H and M"
    return None
