"""What a page shows besides its ink: a frame, ruled or squared lines, pieces cut off by the page's edge.

Pages are (height, width), in grey levels 0..255; ink is how far a pixel is from its background.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FRAME = 0.2  # of a page's side: the widest frame that is cut off
LINE = 0.025  # of a page's side: the thickest line that is printed and not drawn
ACROSS = 0.7  # of a page's side: a printed line is at least as long, no stroke is
SLANT = 0.05  # rise of a printed line over its length, 3 degrees


def without_frame(grey: Floats, threshold: float) -> Floats:
    """(H, W) page -> the part inside of a frame, or of the table that it lies on.

    A frame covers whole rows or columns at two sides or more (the bar of a 7 can fill one) and is, unlike
    most of the page, below `threshold`, or above it.
    """
    framed = (grey <= threshold) != (np.median(grey) <= threshold)
    cuts = []
    for sides in (framed, framed[::-1], framed.T, framed.T[::-1]):
        share = sides.mean(1)
        full = int((share < 0.9).argmax())  # rows that are all frame
        inner = share[full:] <= share.min() + 0.03  # a frame that is askew ends gradually
        cuts.append(full + int(inner.argmax()) if 0 < full <= FRAME * len(share) else 0)
    if np.count_nonzero(cuts) < 2:
        return grey
    top, bottom, left, right = (min(cut, round(FRAME * max(grey.shape))) for cut in cuts)
    return grey[top : len(grey) - bottom, left : grey.shape[1] - right]


def without_lines(ink: Floats, least: float) -> Floats:
    """(H, W) ink -> the same without lines that run across the page and are stronger than `least`."""
    return _without_rows(_without_rows(ink, least).T, least).T


def _without_rows(ink: Floats, least: float) -> Floats:
    """Without lines along the rows, at the slant where most are seen.

    A line's pixel is stronger than those half the line's greatest width above and below. Where rows hold
    lines, the ink between the rows above and below is put in their place: strokes that cross go on.
    """
    height, width = ink.shape
    d = max(2, round(LINE * min(ink.shape)))
    far = np.pad(ink, ((d, d), (0, 0)), mode="edge")
    ridge = ink - np.maximum(far[: -2 * d], far[2 * d :]) > least
    ridge[1:] |= ridge[:-1].copy()  # steps of a slanted line
    steps = round(SLANT * width)
    rows, slope = np.arange(height)[:, None], np.linspace(-0.5, 0.5, width)

    def sheared(rise: int) -> NDArray[np.int64]:
        return np.clip(rows + np.rint(rise * slope).astype(np.int64), 0, height - 1)

    def lines(rise: int) -> Mask:
        return np.take_along_axis(ridge, sheared(rise), 0).mean(1) >= ACROSS

    rise = max(sorted(range(-steps, steps + 1), key=abs), key=lambda rise: lines(rise).sum())
    found = np.convolve(lines(rise), np.ones(5), "same") > 0  # with their soft edges
    if not found.any() or found.all():
        return ink
    clean, index = np.flatnonzero(~found), np.flatnonzero(found)
    after = np.searchsorted(clean, index)
    above, below = clean[np.maximum(after - 1, 0)], clean[np.minimum(after, len(clean) - 1)]
    share = ((index - above) / np.maximum(below - above, 1))[:, None]
    flat = np.take_along_axis(ink, sheared(rise), 0)
    filled = (1 - share) * flat[above] + share * flat[below]
    result = ink.copy()
    np.put_along_axis(result, sheared(rise)[index], filled, 0)
    return result


def components(mask: Mask) -> list[Mask]:
    """(h, w) -> the parts that hang together along rows and columns, the largest first, each (h, w)."""
    labels = np.where(mask, np.arange(1, mask.size + 1).reshape(mask.shape), 0)
    while True:
        spread = _along_rows(_along_rows(labels).T).T
        if np.array_equal(spread, labels):
            break
        labels = spread
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
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def without_leftovers(core: Mask, near: Mask) -> Mask:
    """(H, W) ink -> without what hangs on the page's edge or encloses all the rest, if a rest is left.

    `near` is `core` made wider, so that a stroke with small gaps stays in one piece.
    """
    height, width = core.shape
    parts = [(part & core, *box(part)) for part in components(near)[:50]]
    sizes = [max((r.stop - r.start) / height, (c.stop - c.start) / width) for _, r, c in parts]

    def at_edge(r: slice, c: slice) -> bool:
        return r.start <= 1 or c.start <= 1 or r.stop >= height - 1 or c.stop >= width - 1

    def encloses(r: slice, c: slice) -> bool:
        wide = r.stop - r.start > 0.6 * height and c.stop - c.start > 0.6 * width
        return wide and any(
            r.start < b.start and b.stop < r.stop and c.start < d.start and d.stop < c.stop and size > 0.15
            for (_, b, d), size in zip(parts, sizes, strict=True)
        )

    inside = [not at_edge(r, c) and not encloses(r, c) for _, r, c in parts]
    if not any(kept and size > 0.1 for kept, size in zip(inside, sizes, strict=True)):
        return core
    result = np.zeros_like(core)
    for (part, _, _), kept in zip(parts, inside, strict=True):
        if kept:
            result |= part
    return result
