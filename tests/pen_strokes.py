"""MNIST's images as strokes of a pen: the ink's skeleton, followed from its ends and straight on at forks."""

from __future__ import annotations

import numpy as np
from PIL import Image
from skimage.morphology import skeletonize

SCALE = 4  # pixels of the skeleton for one of the image
LOOK_BACK = 6  # pixels from which a stroke's direction is told
SHORTEST = 5  # pixels; below it a stroke is the skeleton's burr


def pen_strokes(image):
    """(28, 28) uint8 -> strokes, each (n, 2) of x and y in pixels of the image, a point each pixel or so."""
    large = Image.fromarray(image).resize((28 * SCALE, 28 * SCALE), Image.Resampling.BICUBIC)
    ink = np.asarray(large) > 0.45 * float(image.max())
    left = {(int(x), int(y)) for y, x in np.argwhere(skeletonize(ink))}
    done: set[tuple[int, int]] = set()
    strokes = []
    while left:
        path = _follow(_start(left, done), left, done)
        if len(path) >= SHORTEST or not strokes:
            strokes.append(_smooth(np.array(path, float)) / SCALE + 0.5 / SCALE)
    return strokes


def _around(point, points):
    x, y = point
    near = [(x + dx, y + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy]
    return [p for p in near if p in points]


def _start(left, done):
    """The highest free end; where there is none a fork that was passed; else the highest point of a ring."""
    ends = [p for p in left if len(_around(p, left)) <= 1 and not _around(p, done)]
    forks = [p for p in left if _around(p, done)]
    return min(ends or forks or left, key=lambda p: (p[1], p[0]))


def _follow(point, left, done):
    """Points from this one on, as straight as there are any; taken out of ``left``."""
    path = [*_around(point, done)[:1], point]
    while True:
        left.discard(point)
        done.add(point)
        ahead = np.subtract(point, path[-min(LOOK_BACK, len(path))])
        near = _around(point, left)
        if not near:
            break
        before = point
        point = max(
            near,
            key=lambda p: float(np.dot(np.subtract(p, before), ahead)) / np.hypot(*np.subtract(p, before)),
        )
        path.append(point)
    return [*path, *_around(point, done - set(path[-3:]))[:1]]


def _smooth(path):
    """(n, 2) without the steps of the pixels, and only each fourth point; its ends stay."""
    weights = np.array([1, 2, 3, 2, 1]) / 9
    padded = np.pad(path, ((2, 2), (0, 0)), mode="edge")
    soft = sum(w * padded[i : i + len(path)] for i, w in enumerate(weights))
    return np.concatenate([path[:1], soft[2:-2:SCALE], path[-1:]])
