"""Division of an array by a number, or of a number by an array."""

from typing import Any

from backends.reference.signatures import Array


def quotient(xp: Any, a: Array | float, b: Array | float) -> Array:
    """Return a / b for two arrays, or an array and a number, which becomes an array.

    With a Python number torch multiplies by a reciprocal, which is rounded too: for ``1.5 / array``
    everywhere, for ``array / 1.5`` on CUDA.
    """
    like: Array = a if hasattr(a, "dtype") else b
    a, b = (
        v if hasattr(v, "dtype") else xp.full((), v, dtype=like.dtype, device=like.device) for v in (a, b)
    )
    return a / b
