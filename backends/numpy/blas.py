"""NumPy's BLAS: its name, its number of threads, and the address of its matrix product."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backends.errors import InputError
from backends.numpy.thread_count import ThreadCount

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read when Python starts
WANTED = (
    "openblas_get_num_threads", "openblas_set_num_threads", "cblas_sgemm", "openblas_get_config",
    "openblas_get_corename",
)  # fmt: skip
NAMES = ("scipy_{}64_", "{}64_", "scipy_{}", "{}")  # of NumPy's wheels, of integers of 64 bits, plain


@dataclass(frozen=True)
class Blas:
    """A library that this process has loaded.

    Attributes:
        described: name, version and architecture, such as "openblas 0.3.30 (Haswell)".
        threads: its number of threads.
        sgemm: the address of cblas_sgemm; 0 if unknown.
    """

    described: str
    threads: ThreadCount
    sgemm: int = 0


@cache
def numpy_blas() -> Blas | None:
    """Return NumPy's BLAS; None if it is one that cannot be asked."""
    return _openblas() or _by_threadpoolctl()


def _openblas() -> Blas | None:
    """NumPy's OpenBLAS among the files that Linux has loaded."""
    try:
        with open("/proc/self/maps", errors="replace", encoding="utf-8") as file:
            lines = [line.strip() for line in file if "openblas" in line.rpartition("/")[2]]
    except OSError:
        return None
    paths = {line.split(maxsplit=5)[-1] for line in lines}
    home = str(Path(np.__file__).parents[1])
    for path in sorted(paths, key=lambda path: (not path.startswith(f"{home}/numpy"), path)):
        try:
            library = ctypes.CDLL(path)
        except OSError:  # it was replaced on the disk
            continue
        for name in NAMES:
            found: list[Any] = [getattr(library, name.format(wanted), None) for wanted in WANTED]
            if None not in found:
                get, change, product, *texts = found
                for text in texts:
                    text.restype = ctypes.c_char_p
                config, core = (text().decode() for text in texts)
                sgemm = ctypes.cast(product, ctypes.c_void_p).value or 0
                return Blas(f"openblas {config.split()[1]} ({core})", ThreadCount(get, change), sgemm)
    return None


def _by_threadpoolctl() -> Blas | None:
    """Another one (MKL, BLIS, Accelerate), or another system's, where threadpoolctl is installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    try:
        found = ThreadpoolController().select(user_api="blas").lib_controllers
    except OSError:  # a Linux that hides its /proc
        return None
    if not found:
        return None
    library = next((one for one in found if "numpy" in one.filepath), found[0])
    described = f"{library.internal_api} {library.version} ({getattr(library, 'architecture', '?')})"
    return Blas(described, ThreadCount(library.get_num_threads, library.set_num_threads))


def get_threads() -> int:
    """Return the number of threads of NumPy's BLAS, as far as it can be known."""
    blas = numpy_blas()
    if blas is not None:
        return blas.threads.outside
    values = (os.environ.get(variable, "") for variable in VARIABLES)
    return next((int(n) for n in values if n.isdecimal()), os.cpu_count() or 1)


def set_threads(n: int) -> None:
    """Have NumPy's BLAS use n threads from now on, in the whole process.

    Raises InputError: the BLAS cannot be told; names the cure.
    """
    blas = numpy_blas()
    if blas is not None:
        blas.threads.change(n)
    elif n != get_threads():
        raise _cannot_set(n)


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Have NumPy's BLAS use n threads inside.

    Raises InputError: the BLAS cannot be told; names the cure.
    """
    blas = numpy_blas()
    if blas is not None:
        with blas.threads.section(n):
            yield
    elif n != get_threads():
        raise _cannot_set(n)
    else:
        yield


def _cannot_set(n: int) -> InputError:
    return InputError(
        f"NumPy's BLAS is to use {n} thread{'s' if n > 1 else ''}, which needs threadpoolctl; "
        f"install it, or set {VARIABLES[0]}={n} (or OMP_, MKL_) before Python starts"
    )
