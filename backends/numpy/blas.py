"""NumPy's BLAS: its name, its number of threads, and the address of its matrix product."""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from backends.errors import InputError
from backends.numpy.thread_count import ThreadCount

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")  # read when Python starts
OPENBLAS_FUNCTIONS = (
    "openblas_get_num_threads", "openblas_set_num_threads", "cblas_sgemm", "openblas_get_config",
    "openblas_get_corename",
)  # fmt: skip
# Names in NumPy's wheels, with 64-bit integers, with 32-bit integers, and plain.
SYMBOL_PATTERNS = (
    "scipy_{}64_",
    "{}64_",
    "scipy_{}",
    "{}",
)


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
    """Return NumPy's BLAS; None if it is unknown."""
    return _find_openblas() or _find_by_threadpoolctl()


def _find_openblas() -> Blas | None:
    """Return the OpenBLAS that this process has loaded (Linux), preferably NumPy's own; else None."""
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
        except OSError:  # the file was replaced after loading
            continue
        for name in SYMBOL_PATTERNS:
            found: list[Any] = [
                getattr(library, name.format(function), None) for function in OPENBLAS_FUNCTIONS
            ]
            if None not in found:
                get, change, product, *texts = found
                for text in texts:
                    text.restype = ctypes.c_char_p
                config, core = (text().decode() for text in texts)
                sgemm = ctypes.cast(product, ctypes.c_void_p).value or 0
                return Blas(f"openblas {config.split()[1]} ({core})", ThreadCount(get, change), sgemm)
    return None


def _find_by_threadpoolctl() -> Blas | None:
    """Return the BLAS that threadpoolctl finds: MKL, BLIS, Accelerate, or on other systems; else None."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    try:
        found = ThreadpoolController().select(user_api="blas").lib_controllers
    except OSError:  # /proc is hidden
        return None
    if not found:
        return None
    library = next((one for one in found if "numpy" in one.filepath), found[0])
    description = f"{library.internal_api} {library.version} ({getattr(library, 'architecture', '?')})"
    return Blas(description, ThreadCount(library.get_num_threads, library.set_num_threads))


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
            f"{get_threads()}: this BLAS of NumPy can only be set with threadpoolctl",
            f"install it, or set {THREAD_VARIABLES[0]}={n} (or OMP_, MKL_) before Python starts",
        )
    return blas
