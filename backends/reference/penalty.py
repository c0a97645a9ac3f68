"""The price of large weights, in the gradient."""

from __future__ import annotations

from typing import Any

Array = Any


def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    """``g = g + l1 sign(w) + 2 l2 w``: the gradient of l1 sum |w| + l2 sum w^2 is added; sign(0) = 0.

    A factor of 0 leaves its term out, also where w is infinite. Reads w (n,); writes g (n,).
    """
    if l2 != 0.0:
        g[...] = g + (2.0 * l2) * w
    if l1 != 0.0:
        g[...] = g + l1 * xp.sign(w)
