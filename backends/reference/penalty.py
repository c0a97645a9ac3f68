"""The gradient of L1 and L2 regularisation."""

from __future__ import annotations

from typing import Any

from backends.reference.declaration import kernel

Array = Any


@kernel(writes=("g",))
def penalty(xp: Any, w: Array, g: Array, l1: float, l2: float) -> None:
    """``g = g + l1 sign(w) + 2 l2 w``: the gradient of l1 sum |w| + l2 sum w^2 is added; sign(0) = 0.

    A factor of 0 leaves its term out, also where w is infinite. Reads w (n,); writes g (n,).
    """
    if l2 != 0.0:
        g[...] = g + (2.0 * l2) * w
    if l1 != 0.0:
        g[...] = g + l1 * xp.sign(w)
