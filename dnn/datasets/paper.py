"""Clean a page: remove a frame, ruled or squared lines, and parts that the page's edge cuts off."""

from collections.abc import Iterator
from itertools import islice

import numpy as np

Floats = np.ndarray  # float64
Mask = np.ndarray  # bool

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

    A line is stronger than the pixels a little above and below it. These pixels replace it, so that strokes
    across the line stay connected.
    """
    height, width = ink.shape
    d = max(2, round(MAX_LINE_HALF_WIDTH * min(ink.shape)))
    padded = np.pad(ink, ((d, d), (0, 0)), mode="edge")
    ridge = ink - np.maximum(padded[: -2 * d], padded[2 * d :]) > min_ink
    inked = ink > min_ink
    for mask in (ridge, inked):
        mask[1:] |= mask[:-1].copy()  # steps of a slanted line
    steepest = round(MAX_SLANT * width)
    near_ridge, near_ink = (_share_nearby(mask, steepest // 2 + 1) for mask in (ridge, inked))
    if not ((near_ridge >= MIN_VISIBLE_LENGTH) & (near_ink >= MIN_LINE_LENGTH)).any():
        return ink  # no line at any slant; this test is much faster than the search below

    def along(rise: int) -> np.ndarray:
        steps = np.rint(np.linspace(-rise / 2, rise / 2, width)).astype(np.int64)
        rows: np.ndarray = np.arange(height)[:, None] + steps
        return rows.clip(0, height - 1)

    def lines(rise: int) -> Mask:
        visible, all_ink = (np.take_along_axis(mask, along(rise), 0).mean(1) for mask in (ridge, inked))
        both: Mask = (visible >= MIN_VISIBLE_LENGTH) & (all_ink >= MIN_LINE_LENGTH)
        return both

    rise = max(sorted(range(-steepest, steepest + 1), key=abs), key=lambda rise: lines(rise).sum())
    found = np.convolve(lines(rise), np.ones(5), "same") > 0  # includes the lines' soft edges
    if not found.any() or found.all():
        return ink
    clean = np.flatnonzero(~found)
    index = np.flatnonzero(found)
    rows = along(rise)
    after = np.searchsorted(clean, index)
    flat = np.take_along_axis(ink, rows, 0)
    filled = flat[clean[np.maximum(after - 1, 0)]] / 2 + flat[clean[np.minimum(after, len(clean) - 1)]] / 2
    result = ink.copy()
    np.put_along_axis(result, rows[index], filled, 0)
    return result


def _share_nearby(mask: Mask, distance: int) -> Floats:
    """Return the share of columns with a True pixel within ``distance`` rows of each row of (H, W): (H,)."""
    padded = np.pad(mask, ((distance + 1, distance), (0, 0))).cumsum(0, dtype=np.int32)
    share: Floats = (padded[2 * distance + 1 :] > padded[: -2 * distance - 1]).mean(1)
    return share


def remove_cut_off(core: Mask, near: Mask) -> Mask:
    """Remove components that touch the page's edge from ink (H, W), unless too little ink would be left.

    Args:
        near: the ink with widened strokes, whose components are tested.
    """
    inner = np.zeros_like(core)
    for part in islice(components(near), 50):
        if not (part[[0, 1, -2, -1]].any() or part[:, [0, 1, -2, -1]].any()):
            inner |= part & core
    enough = inner.any() and max(np.ptp(where) for where in inner.nonzero()) > 0.2 * min(core.shape)
    return inner if enough else core


def components(mask: Mask) -> Iterator[Mask]:
    """Yield the 4-connected components of a mask (h, w), the largest first, each as a mask (h, w)."""
    labels = np.zeros(mask.shape, int)
    spread = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while not np.array_equal(spread, labels):
        labels = spread
        spread = _along_rows(_along_rows(spread).T).T
    names, sizes = np.unique(labels[mask], return_counts=True)
    for name in names[np.argsort(-sizes)]:
        yield labels == name


def _along_rows(labels: np.ndarray) -> np.ndarray:
    """Set all labels of each run of nonzero labels in a row to the run's largest label."""
    flat = np.pad(labels, ((0, 0), (1, 1))).ravel()
    starts = np.append(0, np.flatnonzero(np.diff(flat > 0)) + 1)
    greatest = np.repeat(np.maximum.reduceat(flat, starts), np.diff(starts, append=flat.size))
    return greatest.reshape(len(labels), -1)[:, 1:-1]


def covariance(ink: Floats) -> Floats:
    """Return the covariance (2, 2) of x and y, where y points down, over ink (h, w)."""
    y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
    return np.cov(np.stack([x.ravel(), y.ravel()]), aweights=ink.ravel(), bias=True)


def box(mask: Mask) -> tuple[slice, slice]:
    """Return the (row, column) slices of the bounding box of the True pixels of (h, w)."""
    rows = np.flatnonzero(mask.any(1))
    columns = np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
