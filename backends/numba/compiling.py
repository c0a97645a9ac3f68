"""Numba's loops, compiled at their first call and kept on disk, where that works."""

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache

# A product and a sum may become one fused instruction, rounded once instead of twice; every other liberty of
# fast math is left out, since NaN and infinity must pass through.
FAST = {"contract"}
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# Compiled into the loops that call it, and kept with them.
part = numba.njit(fastmath=FAST, no_cpython_wrapper=True, no_cfunc_wrapper=True, **OPTIONS)


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's own, which raises what the disk raises: a full one, a torn file, one of another user.

    What is kept holds the loops that it calls, of other files too, so it is as old as the oldest of them.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        super().__init__(function)
        files = sorted(Path(__file__).parent.glob("*.py"))
        self._cache_file._source_stamp = [(s.st_mtime, s.st_size) for s in (file.stat() for file in files)]

    def load_overload(self, *what: Any) -> Any:
        return _unless_it_fails(super().load_overload, *what)

    def save_overload(self, *what: Any) -> None:
        _unless_it_fails(super().save_overload, *what)


def compiled(function: Callable[..., None]) -> Any:
    """The function, compiled at its first call for the machine at hand and for each dtype."""
    made = numba.njit(function, fastmath=FAST, **OPTIONS)
    kept = _unless_it_fails(_Cache, function)
    if kept is not None:
        made._cache = kept  # as its enable_caching does
    return made


def _unless_it_fails(call: Callable[..., Any], *arguments: Any) -> Any:
    """What the call returns; None and one warning a process if it raises."""
    try:
        return call(*arguments)
    except Exception:
        _warn()
        return None


@cache
def _warn() -> None:
    warnings.warn(
        "Numba cannot keep its compiled loops on disk, or read those that are there, so each process "
        "compiles them anew; name a folder that can be written in NUMBA_CACHE_DIR",
        RuntimeWarning,
        stacklevel=4,
    )
