"""The quasi-Newton direction from the last few steps: the two-loop recursion, without a matrix.

Symbols: g the gradient (n,); for each remembered step s = x' - x, y = g' - g and rho = 1 / (s . y); H the
approximation of the inverse Hessian that these pairs define, which is never formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

from backends import Array


@dataclass(frozen=True, eq=False)
class Pair:
    """A step that was taken and the change of the gradient along it: what is known of the curvature."""

    s: Array  # (n,), its largest entry 1: c s and c y define the same H, and their squares are numbers
    y: Array  # (n,)
    rho: float  # 1 / (s . y)


def dot(xp: Any, a: Array, b: Array) -> float:
    """a . b of two (n,) vectors, read back to the host.
    As a sum of products: the libraries add those up in pairs or blocks, BLAS's dot one after another.
    """
    return float(xp.sum(a * b))


def make_pair(xp: Any, s: Array, y: Array, epsilon: float) -> Pair | None:
    """The pair, or None if s . y is not clearly positive, so that H would not stay positive definite.
    A step that meets the curvature condition has s . y > 0 up to rounding, which epsilon stands for.
    """
    size = float(xp.max(xp.abs(s)))
    if not 0.0 < size < inf:
        return None
    s = s / size
    y = y / size
    sy = dot(xp, s, y)
    ss = dot(xp, s, s)
    yy = dot(xp, y, y)
    return Pair(s, y, 1.0 / sy) if yy < inf and sy > epsilon * sqrt(ss) * sqrt(yy) > 0.0 else None


def first_diagonal(xp: Any, pairs: Sequence[Pair]) -> Array:
    """The diagonal D (n,) with which H starts, so that each parameter has a scale of its own.

    From gamma = (s . y) / (y . y) of the oldest pair, 1/D becomes the diagonal of its BFGS update, pair by
    pair, each time after D was scaled so that y . D y = s . y. The pairs, one at least, lie oldest first.
    Source: Gilbert and Lemaréchal, "Some numerical experiments with variable-storage quasi-Newton
    algorithms", Mathematical Programming 45 (1989).
    """
    oldest = pairs[0]
    diagonal = xp.ones_like(oldest.s) / (oldest.rho * dot(xp, oldest.y, oldest.y))
    above_one = 1.0 + float(xp.finfo(diagonal.dtype).eps)  # a share may be rounded up; 1/D stays positive
    for pair in pairs:
        scale = pair.rho * dot(xp, pair.y, diagonal * pair.y)
        share = pair.s * (pair.s / diagonal)
        share = share / float(xp.sum(share))
        diagonal = 1.0 / (scale / diagonal * (above_one - share) + (pair.rho * pair.y) * pair.y)
    return diagonal


def descent_direction(xp: Any, gradient: Array, pairs: Sequence[Pair]) -> Array:
    """d = -H g (n,), from the gradient g (n,) and m pairs, oldest first, in about 12 m n multiplications.

    H starts as a diagonal and is updated by each pair as in BFGS. Without pairs d = -g.
    Source: Nocedal, "Updating quasi-Newton matrices with limited storage" (1980); Nocedal and Wright,
    "Numerical Optimization" (2006), algorithm 7.4.
    """
    q = gradient
    alphas = []
    for pair in reversed(pairs):
        alpha = pair.rho * dot(xp, pair.s, q)
        q = q - alpha * pair.y
        alphas.append(alpha)
    if pairs:
        q = q * first_diagonal(xp, pairs)
    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        beta = pair.rho * dot(xp, pair.y, q)
        q = q + (alpha - beta) * pair.s
    return -q
