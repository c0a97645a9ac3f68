"""Limits of arrays."""

from typing import Any

from backends.reference.signatures import Array


def clip(xp: Any, x: Array, low: float | None = None, high: float | None = None) -> Array:
    """Return x limited to [low, high]; None: no limit. NaN stays NaN.

    For CuPy array-api-compat computes ``xp.clip`` with boolean masks, so the host waits for the GPU.
    """
    for limit, bound in ((xp.maximum, low), (xp.minimum, high)):
        if bound is not None:
            x = limit(x, xp.full((), bound, dtype=x.dtype, device=x.device))
    return x
