"""Check NumPy's float64 arithmetic, on which the oracle of ``dnn.agreement`` rests.

The expected results need neither a BLAS nor vector code: they are integers and Python's own floats. A product
or a sum of small integers is exact in any order.
"""

import math
import platform
from collections.abc import Iterator
from functools import cache
from typing import Any

import array_api_compat.numpy as npx
import numpy as np

from backends.errors import InputError
from backends.numpy.blas import get_threads, numpy_blas, threads

PRODUCTS = (
    (37, 784, 500), (784, 37, 500), (37, 500, 784), (1, 784, 500), (37, 784, 1), (129, 65, 33), (3, 1, 2),
)  # fmt: skip
"""(m, k, n) of the products; rows that neither vectors nor threads divide."""
FUNCTIONS = ("exp", "log", "log1p", "expm1", "tanh", "sqrt", "sin", "cos")
MAX_ULP = 4.0


def require_sound_numpy() -> None:
    """Raise InputError: NumPy's float64 arithmetic is wrong; the message names the operation and the BLAS."""
    for fault in find_faults():
        raise fault


def find_faults() -> Iterator[InputError]:
    """Yield an error for each kind of operation with a wrong result; products with all threads and with 1."""
    blas = numpy_blas()
    name = blas.description if blas else "an unknown BLAS"
    is_arm = platform.machine().lower() in ("aarch64", "arm64")
    core = "ARMV8" if is_arm else "Nehalem"  # kernels of OpenBLAS that every such processor can run
    for n in (get_threads(), 1) if blas else (get_threads(),):
        with threads(n):
            wrong = find_wrong_product()
        if wrong:
            cure = f"set OPENBLAS_CORETYPE={core} before Python starts, or reinstall NumPy"
            yield InputError(f"{wrong} ({name}, threads: {n})", "exact integers", cure)
            break
    for wrong in (find_wrong_sum(), find_wrong_function()):
        if wrong:
            yield InputError(wrong, "as Python computes it", "reinstall NumPy")


def find_wrong_product() -> str:
    """Return the first wrong product of integers, with its error; an empty string if all are exact."""
    for m, k, n in PRODUCTS:
        *factors, exact = exact_product(m, k, n)
        for left, right in (factors, tuple(map(np.asfortranarray, factors))):
            for multiply in (npx.matmul, np.matmul, np.dot):
                error = np.max(np.abs(multiply(left, right) - exact))
                if error != 0.0:  # NaN too
                    return f"NumPy's float64 product of {m} x {k} and {k} x {n} is wrong by {error:g}"
    return ""


@cache
def exact_product(m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return factors of integers from -8 to 8, and their product, computed in int64 without the BLAS."""
    a, b = (np.arange(i * j).reshape(i, j) ** 2 % 17 - 8 for i, j in ((m, k), (k, n)))
    return a.astype(np.float64), b.astype(np.float64), np.einsum("ik,kj->ij", a, b)


def find_wrong_sum() -> str:
    """Return the first wrong sum or mean of integers; an empty string if all are exact."""
    numbers = np.arange(1024 * 33).reshape(1024, 33) ** 2 % 1009
    columns, rows = numbers.sum(axis=0), numbers.sum(axis=1)
    x = numbers.astype(np.float64)
    found: dict[str, tuple[Any, Any]] = {
        "sum": (npx.sum(x), rows.sum()),
        "sum of columns": (npx.sum(x, axis=0), columns),
        "sum of rows": (npx.sum(x, axis=1), rows),
        "mean of columns": (1024 * npx.mean(x, axis=0), columns),
    }
    wrong = [name for name, (result, exact) in found.items() if not np.array_equal(result, exact)]
    return f"NumPy's float64 {wrong[0]} of 1024 x 33 integers is wrong" if wrong else ""


def find_wrong_function() -> str:
    """Return the first function that is wrong by more than MAX_ULP; an empty string if none is."""
    x = np.concatenate([np.geomspace(1e-9, 600.0, 203), np.linspace(0.01, 20.0, 202)])
    for name in FUNCTIONS:
        for argument, result in zip(x.tolist(), getattr(npx, name)(x).tolist(), strict=True):
            exact = getattr(math, name)(argument)
            if not abs(result - exact) <= MAX_ULP * math.ulp(exact):
                return f"NumPy's float64 {name}({argument!r}) is {result!r} instead of {exact!r}"
    return ""
