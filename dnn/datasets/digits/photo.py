"""Find the ink of a digit on a page."""

import numpy as np

from dnn.datasets.digits.form import Floats, Mask, blur, border_of, box
from dnn.datasets.digits.paper import remove_cut_off, remove_frame, remove_lines

MIN_EDGE = 0.08  # share of the strongest ink; weaker pixels around the ink are JPEG artefacts
MIN_LINE_CONTRAST = 8.0  # of 255, for printed lines
MIN_CONTRAST = 20.0  # of 255; the noise of an empty page is mostly below it
MAX_CROSSING_EXTENT = 0.7  # share of the page's width (or height) of ink that reaches two opposite sides
MIN_CROSSING_FILL = 0.8  # share of their box that these pixels fill; strokes that touch two sides fill less


def find_ink(grey: Floats, side: int) -> Floats | None:
    """Return the ink's strength (h, w) >= 0, cropped to the ink, or None.

    None means that the page is blank, or that the ink crosses the page: it reaches two opposite sides, and
    the page is wider. An edge between two areas crosses the page. A closely cropped digit does not.

    The background is bright if the border's median is above the middle between the page's darkest and
    brightest pixel. Subtracting a plane through the border removes a shadow across the page. Otsu's threshold
    or three times the paper's noise, whichever is larger, separates ink from paper. Dust is dropped. Then the
    ink's soft edge, which is weaker than the threshold, is added again.

    Args:
        grey: the page (H, W), 0 to 255.
        side: length in pixels of the ink's longer side in the result.
    """
    large = min(grey.shape) >= 100
    if large:
        grey = remove_frame(grey, _otsu_threshold(grey))
    border = border_of(grey)
    bright = np.median(grey[border]) > (grey.min() + grey.max()) / 2
    background, noise = _fit_plane(grey, border)
    ink = background - grey if bright else grey - background
    if large:
        ink = remove_lines(ink, max(4 * noise, MIN_LINE_CONTRAST))
    ink = np.rint(np.clip(ink, 0, 255))
    core = ink > max(_otsu_threshold(ink), 3 * noise)
    if large:
        # Dust is small in both directions: a line one pixel wide fills 5 of 25 pixels, dust fewer.
        core &= blur(core, 2) >= 50
        core = remove_cut_off(core, blur(core, 1) > 0)
    if not core.any() or core.all() or ink[core].mean() - ink[~core].mean() < MIN_CONTRAST:
        return None
    rows, columns = box(core)
    extent = sorted((np.ptp(core.nonzero(), axis=1) + 1) / core.shape)
    fill = core[rows, columns].mean()
    if extent[0] < MAX_CROSSING_EXTENT and extent[1] == 1 and fill > MIN_CROSSING_FILL:
        return None
    one_pixel = max(1, round(max(core[rows, columns].shape) / side))  # one pixel of the result
    edge = (blur(core, one_pixel) > 0) & (ink > max(MIN_EDGE * ink.max(), 4 * noise))
    ink = np.where(core | edge, ink, 0)
    return ink[box(ink > 0)]


def _fit_plane(grey: Floats, border: Mask) -> tuple[Floats, float]:
    """Fit a plane to the border's pixels; return the paper (h, w) and the noise around the plane.

    Ink may touch the border: three least-squares fits, each without the outliers of the one before.
    """
    terms = np.stack([np.ones(grey.shape), *np.indices(grey.shape)], axis=-1)  # (h, w, 3)
    off = np.abs(grey - np.median(grey[border]))
    limit = MIN_CONTRAST + 3 * float(np.median(off[border]))
    for _ in range(3):
        keep = border & (off <= limit)
        plane = terms @ np.linalg.lstsq(terms[keep], grey[keep], rcond=None)[0]
        off = np.abs(grey - plane)
        noise = 1.4826 * float(np.median(off[border]))  # the standard deviation of normal noise
        limit = 3 * noise + 1
    return plane, noise


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
