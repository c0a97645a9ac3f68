"""Numba's compiler with the options of this backend: compile at the first call, cache on disk if possible."""

import io
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile

# "contract" lets a product and a sum become one fused instruction, rounded once instead of twice. No other
# flag of fast math is set, since NaN and infinity must pass through.
FASTMATH_FLAGS = {"contract"}
JIT_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

# For functions that only compiled code calls: they are compiled into the caller and cached with it.
jit_helper = numba.njit(
    fastmath=FASTMATH_FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True, **JIT_OPTIONS
)


@cache
def _source_stamp() -> list[tuple[float, int]]:
    """Return the time and the size of each file of ``backends``; read once for all loops."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"), key=str)
    return [(s.st_mtime, s.st_size) for s in (file.stat() for file in files)]


class _CheckedFiles(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's files with a checksum at their end: a damaged one would crash. It is removed and made again."""

    @contextmanager
    def _open_for_write(self, path: str) -> Iterator[io.BytesIO]:
        content = io.BytesIO()
        with super()._open_for_write(path) as file:
            yield content
            file.write(content.getvalue() + _checksum(content.getvalue()))

    def _load_index(self) -> Any:
        _remove_if_damaged(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _remove_if_damaged(self._data_path(name))
        return super()._load_data(name)


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(4, "little")


def _remove_if_damaged(path: str) -> None:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        return
    if _checksum(content[:-4]) != content[-4:]:
        Path(path).unlink(missing_ok=True)
        _warn("A file of Numba's compiled loops was damaged, so they are compiled and written again")


class _Cache(FunctionCache):  # type: ignore[misc]
    """Numba's disk cache, with a warning instead of an error: full disk, another user's file.

    A cached loop contains the helpers it calls and the constants it reads, also from other files. So its time
    stamp is made of the time stamps of all files of ``backends``.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        super().__init__(function)
        name = f"{self._impl.filename_base}.crc32"
        self._cache_file = _CheckedFiles(self._cache_path, name, _source_stamp())

    def load_overload(self, *arguments: Any) -> Any:
        return _warn_on_failure(super().load_overload, *arguments)

    def save_overload(self, *arguments: Any) -> None:
        _warn_on_failure(super().save_overload, *arguments)


def jit_cached(function: Callable[..., None], fastmath: set[str] = FASTMATH_FLAGS) -> Any:
    """Compile a function at its first call, for this machine's processor and for each dtype."""
    dispatcher = numba.njit(function, fastmath=fastmath, **JIT_OPTIONS)
    disk_cache = _warn_on_failure(_Cache, function)
    if disk_cache is not None:
        dispatcher._cache = disk_cache  # as Numba's enable_caching does
    return dispatcher


def _warn_on_failure(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return ``call(*arguments)``; if it raises, warn once per process and return None."""
    try:
        return call(*arguments)
    except Exception:
        _warn(
            "Numba cannot write its compiled loops to disk, or cannot read the cached ones, so each process "
            "compiles them again; set NUMBA_CACHE_DIR to a writable folder"
        )
        return None


@cache
def _warn(text: str) -> None:
    with suppress(RuntimeWarning):  # as an error it would end a worker thread, for which the others wait
        warnings.warn(text, RuntimeWarning, stacklevel=4)
