"""NumPy's BLAS: its name, its number of threads, and the address of its matrix product."""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache

from backends.errors import InputError
from backends.numpy.thread_count import ThreadCount

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read when Python starts
# NumPy's wheels have integers of 64 bits, and prefixes beside SciPy's.
SGEMM_NAMES = ("scipy_cblas_sgemm64_", "cblas_sgemm64_", "scipy_cblas_sgemm", "cblas_sgemm")


@dataclass(frozen=True)
class Blas:
    """The BLAS library that NumPy uses in this process.

    Attributes:
        description: name, version and architecture, such as "openblas 0.3.30 (Haswell)".
        threads: its number of threads.
        sgemm: the address of cblas_sgemm; 0 if unknown.
    """

    description: str
    threads: ThreadCount
    sgemm: int = 0


@cache
def numpy_blas() -> Blas | None:
    """Return NumPy's BLAS, or another one of this process; None if threadpoolctl knows none."""
    try:
        from threadpoolctl import ThreadpoolController

        found = ThreadpoolController().select(user_api="blas").lib_controllers
    except (ImportError, OSError):  # not installed, or /proc is hidden
        return None
    if not found:
        return None
    library = min(found, key=lambda one: "numpy" not in one.filepath)
    description = f"{library.internal_api} {library.version} ({getattr(library, 'architecture', '?')})"
    names = SGEMM_NAMES if library.internal_api == "openblas" else ()
    products = (getattr(library.dynlib, name) for name in names if hasattr(library.dynlib, name))
    sgemm = ctypes.cast(next(products, 0), ctypes.c_void_p).value or 0
    return Blas(description, ThreadCount(library.get_num_threads, library.set_num_threads), sgemm)


def get_threads() -> int:
    """Return the number of threads of NumPy's BLAS; if unknown, what the environment variables say."""
    blas = numpy_blas()
    if blas is not None:
        return blas.threads.outside
    values = (os.environ.get(variable, "") for variable in THREAD_VARIABLES)
    return next((int(n) for n in values if n.isdecimal()), os.cpu_count() or 1)


def set_threads(n: int) -> None:
    """Set NumPy's BLAS to n threads, process-wide.

    Raises InputError: this BLAS cannot be set from here; names the cure.
    """
    blas = _blas_to_set(n)
    if blas is not None:
        blas.threads.change(n)


def threads(n: int) -> AbstractContextManager[None]:
    """Return a context in which NumPy's BLAS has n threads.

    Raises InputError: this BLAS cannot be set from here; names the cure.
    """
    blas = _blas_to_set(n)
    return nullcontext() if blas is None else blas.threads.section(n)


def _blas_to_set(n: int) -> Blas | None:
    """Return NumPy's BLAS; None if it is unknown and has n threads anyway."""
    blas = numpy_blas()
    if blas is None and n != get_threads():
        raise InputError(
            f"threads is {n}",
            f"{get_threads()}: this BLAS of NumPy cannot be set from here",
            f"set {THREAD_VARIABLES[0]}={n} (or OMP_, MKL_) before Python starts",
        )
    return blas
