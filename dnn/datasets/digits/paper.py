"""Clean a page: remove a frame, ruled or squared lines, and parts that the page's edge cuts off."""

from itertools import islice

import numpy as np

from dnn.datasets.digits.form import Floats, Mask, components

# All are shares of the page's side, except MAX_SLANT.
MAX_FRAME = 0.2  # width of a frame
MAX_MARGIN = 0.08  # width of the paper outside a frame
MAX_LINE_HALF_WIDTH = 0.025  # of a printed line
MIN_LINE_LENGTH = 0.7  # of a printed line; pen strokes are shorter
MIN_VISIBLE_LENGTH = 0.5  # of the part of a printed line outside strokes
MAX_SLANT = 0.05  # rise / length of a printed line: 3 degrees


def remove_frame(grey: Floats, threshold: float) -> Floats:
    """Crop a page (H, W) to the inside of its frame, if it has one.

    The frame and most of the page are on different sides of `threshold`. A frame fills rows or columns
    almost completely on at least three sides: the bar of a large 7 can fill one side.
    """
    frame = (grey <= threshold) != (np.median(grey) <= threshold)
    cuts = []
    for side in (frame, frame[::-1], frame.T, frame.T[::-1]):
        filled = np.append(side.mean(1) >= 0.8, False)
        start = int(filled.argmax())
        near = filled[start] and start <= MAX_MARGIN * len(side)
        cuts.append(start + int(filled[start:].argmin()) if near else 0)
    if np.count_nonzero(cuts) < 3 or max(cuts) > MAX_FRAME * min(grey.shape):
        return grey
    soft = round(0.01 * min(grey.shape))  # the frame's edge may be blurred or slanted
    top, bottom, left, right = (cut + soft for cut in cuts)
    return grey[top : len(grey) - bottom, left : grey.shape[1] - right]


def remove_lines(ink: Floats, min_ink: float) -> Floats:
    """Remove lines across the page that are stronger than `min_ink` from ink (H, W)."""
    return _remove_row_lines(_remove_row_lines(ink, min_ink).T, min_ink).T


def _remove_row_lines(ink: Floats, min_ink: float) -> Floats:
    """Remove lines along the rows, at the slant that shows the most lines.

    A line is stronger than the pixels a little above and below it. The rows beside a line replace it, so that
    strokes across the line stay connected.
    """
    height, width = ink.shape
    d = max(2, round(MAX_LINE_HALF_WIDTH * min(ink.shape)))
    padded = np.pad(ink, ((d, d), (0, 0)), mode="edge")
    ridge = ink - np.maximum(padded[: -2 * d], padded[2 * d :]) > min_ink
    inked = ink > min_ink
    for mask in (ridge, inked):
        mask[1:] |= mask[:-1].copy()  # jumps of a slanted line
    columns = np.arange(width)

    def lines(rise: int) -> tuple[np.ndarray, Mask]:
        """Return the row of each pixel (height, width) along the slant, and which rows are lines."""
        shifts = np.rint(np.linspace(-rise / 2, rise / 2, width)).astype(np.int64)
        rows = (np.arange(height)[:, None] + shifts).clip(0, height - 1)
        visible, all_ink = (mask[rows, columns].mean(1) for mask in (ridge, inked))
        return rows, (visible >= MIN_VISIBLE_LENGTH) & (all_ink >= MIN_LINE_LENGTH)

    steepest = round(MAX_SLANT * width)
    rises = sorted(range(-steepest, steepest + 1), key=abs)
    rows, found = max(map(lines, rises), key=lambda pair: pair[1].sum())
    found = np.convolve(found, np.ones(5), "same") > 0  # includes the lines' soft edges
    clean = rows[~found]
    if not len(clean):
        return ink
    after = np.cumsum(~found)[found]  # index of the next clean row
    result = ink.copy()
    nearest = (clean.take(after + side, axis=0, mode="clip") for side in (-1, 0))
    result[rows[found], columns] = sum(ink[row, columns] for row in nearest) / 2
    return result


def remove_cut_off(core: Mask, near: Mask) -> Mask:
    """Remove components that touch the page's edge from ink (H, W), unless too little ink would be left.

    Args:
        near: the ink with widened strokes, whose components are tested.
    """
    inner = np.zeros_like(core)
    for piece in islice(components(near), 50):
        if not (piece[[0, 1, -2, -1]].any() or piece[:, [0, 1, -2, -1]].any()):
            inner |= piece & core
    enough = inner.any() and max(np.ptp(where) for where in inner.nonzero()) > 0.2 * min(core.shape)
    return inner if enough else core
