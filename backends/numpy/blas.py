"""The BLAS that NumPy computes products with: how many threads it has, and where its product lies."""

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backends.errors import InputError

VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read when Python starts
WANTED = (
    "openblas_get_num_threads", "openblas_set_num_threads", "cblas_sgemm", "openblas_get_config",
    "openblas_get_corename",
)  # fmt: skip
NAMES = ("scipy_{}64_", "{}64_", "scipy_{}", "{}")  # of NumPy's wheels, of integers of 64 bits, plain


@dataclass(frozen=True)
class Blas:
    """A library in this process."""

    described: str
    get_threads: Callable[[], int]
    set_threads: Callable[[int], Any]
    sgemm: int = 0  # the address of cblas_sgemm; 0: not known


@cache
def numpy_blas() -> Blas | None:
    """NumPy's BLAS; None: it is none that can be asked."""
    return _openblas() or _by_threadpoolctl()


def _openblas() -> Blas | None:
    """NumPy's OpenBLAS among the files that Linux has loaded."""
    try:
        with open("/proc/self/maps", errors="replace", encoding="utf-8") as file:
            lines = [line.strip() for line in file if "openblas" in line.rpartition("/")[2]]
    except OSError:
        return None
    paths, home = {line.split(maxsplit=5)[-1] for line in lines}, str(Path(np.__file__).parents[1])
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
                return Blas(f"openblas {config.split()[1]} ({core})", get, change, sgemm)
    return None


def _by_threadpoolctl() -> Blas | None:
    """Another one (MKL, BLIS, Accelerate), or another system's, where threadpoolctl is installed."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    found = ThreadpoolController().select(user_api="blas").lib_controllers
    if not found:
        return None
    library = next((one for one in found if "numpy" in one.filepath), found[0])
    described = f"{library.internal_api} {library.version} ({getattr(library, 'architecture', '?')})"
    return Blas(described, library.get_num_threads, library.set_num_threads)


def get_threads() -> int:
    """How many threads NumPy's BLAS uses, as far as can be known."""
    blas = numpy_blas()
    if blas is not None:
        return blas.get_threads()
    said = (os.environ.get(variable, "") for variable in VARIABLES)
    return next((int(n) for n in said if n.isdecimal()), os.cpu_count() or 1)


def set_threads(n: int) -> None:
    """Have NumPy's BLAS use n threads from now on, in the whole process.

    Raises InputError: it cannot be told so; how it can.
    """
    blas = numpy_blas()
    if blas is not None:
        blas.set_threads(n)
    elif n != get_threads():
        raise InputError(
            f"NumPy's BLAS is to use {n} thread{'s' if n > 1 else ''}, which needs threadpoolctl; "
            f"install it, or set {VARIABLES[0]}={n} (or OMP_, MKL_) before Python starts"
        )
