"""Whether a picture can be a digit, told by what MNIST's digits look like.

Together they refuse 0.43 % of MNIST's last 10,000 training digits, which were held out, and 0.30 % of its
test digits; tests/dnn/datasets/test_no_digit.py measures it. v (28, 28) stands for the strength of the ink,
0..1, ink for v > 0.4, and a run for neighbouring ink in a row or column.
"""

import numpy as np

from dnn.datasets.paper import box, components
from dnn.datasets.pictures import Grey

OUTLINE = (0.38, 170)  # pixel edges of the outline: least for each pixel of ink, and most
WIDTH = 2.05  # of the ink's height
LYING = 3.7  # variance of the ink along x for that along y
FALLING = 0.92  # correlation of x and y, which points down
SPREAD = 78.0  # pixels^2; variance of the ink along x and along y, together
RUNS = (2.2, 3.1)  # strokes that a row, and a column, crosses on average
SECOND = (0.31, 0.41)  # of the second part: share of the ink, and of the height


def why_no_digit(image: Grey) -> str | None:
    """Why a (28, 28) image of the form that ``load_digit_image`` gives is refused; None: it may be a digit.

    >>> why_no_digit(np.pad(np.full((20, 20), 255, np.uint8), 4))
    'it is a filled area and no stroke of a pen'
    """
    v = image / image.max()
    ink = v > 0.4
    parts = [part for part in components(v > 0.2) if part.sum() > 3]
    rows, columns = box(ink)
    height = rows.stop - rows.start
    width = columns.stop - columns.start
    down, across = (np.diff(ink.astype(int), axis=axis, prepend=0, append=0) for axis in (0, 1))
    outline = np.count_nonzero(down) + np.count_nonzero(across)
    y, x = np.mgrid[:28, :28]
    (xx, xy), (_, yy) = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=v.ravel(), bias=True)
    tall = [np.ptp(part.nonzero()[0]) + 1 for part in parts]
    if outline < OUTLINE[0] * ink.sum():
        return "it is a filled area and no stroke of a pen"
    if len(parts) > 1 and parts[1].sum() > SECOND[0] * (v > 0.2).sum() and tall[1] > SECOND[1] * height:
        return "it shows two digits or more: crop it to one"
    if width > WIDTH * height or xx > LYING * yy:
        return "it is too wide for one digit: a line that lies, or several digits"
    if (across > 0).sum() > RUNS[0] * height or (down > 0).sum() > RUNS[1] * width or outline > OUTLINE[1]:
        return "it has more strokes than a digit: several digits, a text or a pattern"
    if xx + yy > SPREAD:
        return "its ink lies far out, as a frame's"
    if xy > FALLING * np.sqrt(xx * yy):
        return "it is a line that falls from left to right"
    return None
