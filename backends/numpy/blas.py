"""NumPy's BLAS: its name, its number of threads, and the address of its matrix product."""

import ctypes
import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from backends.claims import once
from backends.errors import InputError
from backends.numpy.thread_count import ThreadCount

THREADS_VARIABLE = "OMP_NUM_THREADS"  # read when Python starts
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


@once
def numpy_blas() -> Blas:
    """Return NumPy's BLAS."""
    return _find_openblas() or _find_by_threadpoolctl() or _unknown_blas()


def _find_openblas() -> Blas | None:
    """Return the OpenBLAS that NumPy is linked with; None if it is another BLAS, and on Windows.

    A process may have loaded several, such as SciPy's. The system looks for a symbol in NumPy's module and in
    the libraries that this module needs, and in no others.
    """
    try:
        library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, AttributeError, OSError):  # another NumPy, or the file was moved after loading
        return None
    for name in SYMBOL_PATTERNS:
        found: list[Any] = [getattr(library, name.format(function), None) for function in OPENBLAS_FUNCTIONS]
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
    from threadpoolctl import ThreadpoolController

    try:
        found = ThreadpoolController().select(user_api="blas").lib_controllers
    except OSError:  # /proc is hidden
        return None
    if not found:
        return None
    home = os.path.realpath(os.path.dirname(np.__file__))  # also the start of numpy.libs
    library = next((one for one in found if os.path.realpath(one.filepath).startswith(home)), found[0])
    description = f"{library.internal_api} {library.version} ({getattr(library, 'architecture', '?')})"
    return Blas(description, ThreadCount(library.get_num_threads, library.set_num_threads))


def _unknown_blas() -> Blas:
    """Return a BLAS whose number of threads cannot be changed: it is what the environment variable says."""
    setting = os.environ.get(THREADS_VARIABLE, "")
    count = int(setting) if setting.isdecimal() else os.cpu_count() or 1

    def refuse(n: int) -> None:
        if n != count:
            raise InputError(
                f"threads is {n}",
                f"{count}: this BLAS of NumPy cannot be set from here",
                f"set {THREADS_VARIABLE}={n} before Python starts",
            )

    threads = ThreadCount(lambda: count, refuse)
    threads.explicit = True  # a product does not ask for another number
    return Blas("an unknown BLAS", threads)
