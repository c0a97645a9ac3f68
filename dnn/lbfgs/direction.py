"""The quasi-Newton direction from the last few steps: the two-loop recursion, without a matrix.

Symbols: g the gradient (n,); for each remembered step s = x' - x, y = g' - g and rho = 1 / (s . y); H the
approximation of the inverse Hessian that these pairs define, which is never formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

Array = Any


@dataclass(frozen=True, eq=False)
class Pair:
    """A step that was taken and the change of the gradient along it: what is known of the curvature."""

    s: Array  # (n,)
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
    sy, ss, yy = dot(xp, s, y), dot(xp, s, s), dot(xp, y, y)
    return Pair(s, y, 1.0 / sy) if sy > epsilon * sqrt(ss) * sqrt(yy) else None


def descent_direction(xp: Any, gradient: Array, pairs: Sequence[Pair]) -> Array:
    """d = -H g in 4 m n multiplications.

    H starts as gamma I with gamma = (s . y) / (y . y) of the last pair, which gives the first trial
    step the right size, and is updated by each pair as in BFGS. Without pairs d = -g.

    Args:
        gradient: g (n,).
        pairs: m of them, oldest first.

    Returns (n,), new.

    Source: Nocedal, "Updating quasi-Newton matrices with limited storage" (1980); Nocedal and Wright,
    "Numerical Optimization" (2006), algorithm 7.4 and equation 7.20.
    """
    q, alphas = gradient, []
    for pair in reversed(pairs):
        alpha = pair.rho * dot(xp, pair.s, q)
        q = q - alpha * pair.y
        alphas.append(alpha)
    if pairs:
        last = pairs[-1]
        q = q * (1.0 / (last.rho * dot(xp, last.y, last.y)))
    for pair, alpha in zip(pairs, reversed(alphas), strict=True):
        beta = pair.rho * dot(xp, pair.y, q)
        q = q + (alpha - beta) * pair.s
    return -q
