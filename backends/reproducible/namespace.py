"""ReproducibleNamespace: an array API namespace with the same bits on every library and processor."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.errors import InputError
from backends.reproducible import functions, sums

OPEN_FUNCTIONS = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cosh", "cumulative_prod", "cumulative_sum",
    "einsum", "erf", "fft", "hypot", "linalg", "log10", "log2", "logaddexp", "pow", "prod", "sinh", "std",
    "tan", "tensordot", "var", "vecdot",
)  # fmt: skip
"""Functions with bits that IEEE 754 does not fix. No kernel needs them, so they are rejected."""


class ReproducibleNamespace:
    """A backend's namespace with its own sums, products and elementary functions.

    Args:
        xp: an array API namespace.
        faster: name -> function with the same bits, called as in ``xp``.
    Raises InputError: the bits of the requested function depend on the library.
    """

    def __init__(self, xp: Any, faster: Mapping[str, Callable[..., Any]]) -> None:
        self._xp = xp
        for name, function in {**functions.FUNCTIONS, **sums.FUNCTIONS}.items():
            setattr(self, name, partial(function, xp))
        for name, function in faster.items():
            setattr(self, name, function)

    def __getattr__(self, name: str) -> Any:
        if name in OPEN_FUNCTIONS:
            got = f"the bits of xp.{name} depend on the library"
            raise InputError(
                got, "a function that the precision 'reproducible' supports", "use +, -, *, /, exp, log"
            )
        return getattr(self.__dict__["_xp"], name)


def make_reproducible(backend: Backend) -> Backend:
    """Return the backend with the reference kernels on a ``ReproducibleNamespace``.

    Raises InputError: the device has no float64, which the elementary functions need, or denormal numbers
        become 0.
    """
    where = f"precision is 'reproducible' on the device {str(backend.device)!r} of {backend.name!r}"
    try:
        backend.zeros(1, dtype=backend.xp.float64)
    except Exception:  # each library raises another type
        raise InputError(f"{where}, which has no float64", "a device with float64", "use the CPU") from None
    space = ReproducibleNamespace(backend.xp, backend.REPRODUCIBLE_FUNCTIONS(backend.xp))
    exact = replace(backend, xp=space, precision="reproducible")
    if not _keeps_denormals(exact):
        got = f"{where}, where denormal numbers are flushed to 0"
        cure = "use another backend, or a new process"
        raise InputError(got, "arithmetic as in IEEE 754", cure)
    return exact


def _keeps_denormals(backend: Backend) -> bool:
    """Return whether float32 operations keep the smallest positive number, as IEEE 754 requires."""
    xp = backend.xp
    tiny = backend.from_host(np.asarray([2.0**-149], dtype=np.float32))
    zero = backend.zeros(1, dtype=xp.float32)
    copy = xp.astype(xp.astype(tiny, xp.float64), xp.float32)
    copy = xp.abs(-xp.maximum(xp.where(copy > 0, copy, zero), zero))
    copy = (copy + zero - zero) * 1.0 / (zero + 1.0)
    return bool(xp.all(copy == tiny) and xp.all(copy != zero))
