"""The quasi-Newton direction from the last few steps: the two-loop recursion, without a matrix.

Symbols: g the gradient (n,); for each stored step s = x' - x, y = g' - g and rho = 1 / (s . y). The pairs
define H, an approximation of the inverse Hessian, which is never computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

from backends import Array
from backends.reference.arithmetic import quotient


@dataclass(frozen=True, eq=False)
class CurvaturePair:
    """A past step and the change of the gradient along it, which describe the curvature."""

    s: Array  # (n,), scaled to largest entry 1 so that squares are finite; c s and c y define the same H
    y: Array  # (n,)
    rho: float  # 1 / (s . y)


def dot(xp: Any, a: Array, b: Array) -> float:
    """Return a . b of two (n,) vectors, read back to the host.

    It is a sum of products, because libraries compute sums pairwise or in blocks, but BLAS computes dot
    sequentially, with larger rounding errors.
    """
    return float(xp.sum(a * b))


def make_pair(xp: Any, s: Array, y: Array, epsilon: float) -> CurvaturePair | None:
    """Return the pair; None if s . y is not clearly positive, since H would not remain positive definite.

    A step that meets the curvature condition has s . y > 0 up to rounding; epsilon is the tolerance.
    """
    size = float(xp.max(xp.abs(s)))
    if not 0.0 < size < inf:
        return None
    s = quotient(xp, s, size)
    y = quotient(xp, y, size)
    sy = dot(xp, s, y)
    ss = dot(xp, s, s)
    yy = dot(xp, y, y)
    return CurvaturePair(s, y, 1.0 / sy) if yy < inf and sy > epsilon * sqrt(ss) * sqrt(yy) > 0.0 else None


def first_diagonal(xp: Any, pairs: Sequence[CurvaturePair]) -> Array:
    """Return the initial diagonal D (n,) of H, which gives each parameter its own scale.

    D starts as gamma = (s . y) / (y . y) of the oldest pair. For each pair, D is scaled so that
    y . D y = s . y; then 1/D becomes the diagonal of its BFGS update. There must be at least one pair; the
    oldest is first.
    Source: Gilbert and Lemaréchal, "Some numerical experiments with variable-storage quasi-Newton
    algorithms", Mathematical Programming 45 (1989).
    """
    oldest = pairs[0]
    diagonal = quotient(xp, xp.ones_like(oldest.s), oldest.rho * dot(xp, oldest.y, oldest.y))
    above_one = 1.0 + float(xp.finfo(diagonal.dtype).eps)  # keeps 1/D positive if share is rounded up
    for pair in pairs:
        scale = pair.rho * dot(xp, pair.y, diagonal * pair.y)
        share = pair.s * (pair.s / diagonal)
        share = quotient(xp, share, float(xp.sum(share)))
        inverse = quotient(xp, scale, diagonal) * (above_one - share) + (pair.rho * pair.y) * pair.y
        diagonal = 1.0 / inverse
    return diagonal


def descent_direction(xp: Any, gradient: Array, pairs: Sequence[CurvaturePair]) -> Array:
    """Return d = -H g (n,), given the gradient g (n,) and m pairs, oldest first.

    H starts as a diagonal, and each pair updates it as in BFGS. Without pairs d = -g. The cost is about
    12 m n multiplications.
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
