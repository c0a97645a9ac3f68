"""What a page shows besides its ink: a frame, ruled or squared lines, pieces cut off by the page's edge."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FRAME = 0.2  # of a page's side: the widest frame that is cut off
MARGIN = 0.08  # of a page's side: the widest paper outside of it
LINE = 0.025  # of a page's side: half of the thickest line that is printed and not drawn
ACROSS = 0.7  # of a page's side: a printed line is at least as long, no stroke is
SEEN = 0.5  # of a page's side: so much of it is not hidden in strokes
SLANT = 0.05  # rise of a printed line over its length, 3 degrees


def without_frame(grey: Floats, threshold: float) -> Floats:
    """(H, W) page -> the part within a frame, whose level is across `threshold` from most of the page's.
    A frame fills nearly whole rows or columns at three sides at least: the bar of a large 7 can fill one.
    """
    frame = (grey <= threshold) != (np.median(grey) <= threshold)
    cuts = []
    for side in (frame, frame[::-1], frame.T, frame.T[::-1]):
        filled = np.append(side.mean(1) >= 0.8, False)
        start = int(filled.argmax())
        near = filled[start] and start <= MARGIN * len(side)
        cuts.append(start + int(filled[start:].argmin()) if near else 0)
    if np.count_nonzero(cuts) < 3 or max(cuts) > FRAME * min(grey.shape):
        return grey
    soft = round(0.01 * min(grey.shape))  # its edge, perhaps askew
    top, bottom, left, right = (cut + soft for cut in cuts)
    return grey[top : len(grey) - bottom, left : grey.shape[1] - right]


def without_lines(ink: Floats, least: float) -> Floats:
    """(H, W) ink -> the same without lines that run across the page and are stronger than `least`."""
    return _without_rows(_without_rows(ink, least).T, least).T


def _without_rows(ink: Floats, least: float) -> Floats:
    """Without lines along the rows, at the slant where most are seen.
    A line is stronger than what is a little above and below. It is replaced by that, so that strokes go on.
    """
    height, width = ink.shape
    d = max(2, round(LINE * min(ink.shape)))
    far = np.pad(ink, ((d, d), (0, 0)), mode="edge")
    ridge = ink - np.maximum(far[: -2 * d], far[2 * d :]) > least
    inked = ink > least
    for mask in (ridge, inked):
        mask[1:] |= mask[:-1].copy()  # steps of a slanted line
    steepest = round(SLANT * width)
    far_seen, far_inked = (_within(mask, steepest // 2 + 1) for mask in (ridge, inked))
    if not ((far_seen >= SEEN) & (far_inked >= ACROSS)).any():
        return ink  # whatever its slant: the search below takes far longer

    def along(rise: int) -> NDArray[np.int64]:
        steps = np.rint(np.linspace(-rise / 2, rise / 2, width)).astype(np.int64)
        rows: NDArray[np.int64] = np.arange(height)[:, None] + steps
        return rows.clip(0, height - 1)

    def lines(rise: int) -> Mask:
        seen, all_ink = (np.take_along_axis(mask, along(rise), 0).mean(1) for mask in (ridge, inked))
        both: Mask = (seen >= SEEN) & (all_ink >= ACROSS)
        return both

    rise = max(sorted(range(-steepest, steepest + 1), key=abs), key=lambda rise: lines(rise).sum())
    found = np.convolve(lines(rise), np.ones(5), "same") > 0  # with their soft edges
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


def _within(mask: Mask, far: int) -> Floats:
    """(H, W) -> (H,) share of the columns with a True pixel at most so many rows above or below."""
    padded = np.pad(mask, ((far + 1, far), (0, 0))).cumsum(0, dtype=np.int32)
    share: Floats = (padded[2 * far + 1 :] > padded[: -2 * far - 1]).mean(1)
    return share


def without_cut_off(core: Mask, near: Mask) -> Mask:
    """(H, W) ink -> without parts of `near`, the ink made wider, that touch the edge, if enough is left."""
    inner = np.zeros_like(core)
    for part in components(near)[:50]:
        if not (part[[0, 1, -2, -1]].any() or part[:, [0, 1, -2, -1]].any()):
            inner |= part & core
    enough = inner.any() and max(np.ptp(where) for where in inner.nonzero()) > 0.2 * min(core.shape)
    return inner if enough else core


def components(mask: Mask) -> list[Mask]:
    """(h, w) -> the parts that hang together along rows and columns, the largest first, each (h, w)."""
    labels = np.zeros(mask.shape, int)
    spread = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while not np.array_equal(spread, labels):
        labels = spread
        spread = _along_rows(_along_rows(spread).T).T
    names, sizes = np.unique(labels[mask], return_counts=True)
    return [labels == name for name in names[np.argsort(-sizes)]]


def _along_rows(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Every run of labels that are not 0 gets its greatest one."""
    flat = np.pad(labels, ((0, 0), (1, 1))).ravel()
    starts = np.append(0, np.flatnonzero(np.diff(flat > 0)) + 1)
    greatest = np.repeat(np.maximum.reduceat(flat, starts), np.diff(starts, append=flat.size))
    return greatest.reshape(len(labels), -1)[:, 1:-1]


def box(mask: Mask) -> tuple[slice, slice]:
    """The smallest rows and columns that hold every True pixel of (h, w)."""
    rows = np.flatnonzero(mask.any(1))
    columns = np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
