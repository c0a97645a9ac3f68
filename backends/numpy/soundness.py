"""Check NumPy's float64 arithmetic, on which the oracle of ``dnn.agreement`` rests.

The expected results need neither a BLAS nor vector code: they are integers and Python's own floats. A product
or a sum of small integers is exact in any order.
"""

import math
import platform
from collections.abc import Iterator
from contextlib import suppress

import array_api_compat.numpy as npx
import numpy as np

from backends.errors import InputError
from backends.numpy.blas import numpy_blas

PRODUCTS = (
    (37, 784, 500), (784, 37, 500), (1, 784, 500), (37, 784, 1), (129, 65, 33), (3, 1, 2),
)  # fmt: skip
"""(m, k, n) of the products; rows that neither vectors nor threads divide."""
FUNCTIONS = ("exp", "log", "log1p", "expm1", "tanh", "sqrt", "sin", "cos")
MAX_ULP = 4.0


def find_faults() -> Iterator[InputError]:
    """Yield an error for each kind of operation with a wrong result; products with all threads and with 1.

    The message names the operation and, for products, the BLAS.
    """
    blas = numpy_blas()
    # Kernels of OpenBLAS that every processor of this architecture can run.
    core = "ARMV8" if platform.machine().lower() in ("aarch64", "arm64") else "Nehalem"
    wrong = ""
    for n in (blas.threads.outside, 1):
        with suppress(InputError), blas.threads.section(n):  # an unknown BLAS may refuse 1
            wrong = find_wrong_product()
        if wrong:
            cure = f"set OPENBLAS_CORETYPE={core} before Python starts, or reinstall NumPy"
            yield InputError(f"{wrong} ({blas.description}, threads: {n})", "exact integers", cure)
            break
    for wrong in (find_wrong_sum(), find_wrong_function()):
        if wrong:
            yield InputError(wrong, "as Python computes it", "reinstall NumPy")


def find_wrong_product() -> str:
    """Return the first wrong product of integers, with its error; an empty string if all are exact."""
    for m, k, n in PRODUCTS:
        a, b = (np.arange(i * j).reshape(i, j) ** 2 % 17 - 8 for i, j in ((m, k), (k, n)))
        exact = np.matmul(a, b)  # integers do not go to the BLAS
        for order in ("C", "F"):
            product = npx.matmul(a.astype(np.float64, order), b.astype(np.float64, order))
            error = np.max(np.abs(product - exact))
            if error != 0.0:  # NaN too
                return f"NumPy's float64 product of {m} x {k} and {k} x {n} is wrong by {error:g}"
    return ""


def find_wrong_sum() -> str:
    """Return the first wrong sum of integers; an empty string if all are exact."""
    numbers = np.arange(1024 * 33).reshape(1024, 33) ** 2 % 1009
    for axis in (None, 0, 1):
        if np.any(npx.sum(numbers.astype(np.float64), axis=axis) != numbers.sum(axis=axis)):  # NaN too
            return f"NumPy's float64 sum of 1024 x 33 integers along axis {axis} is wrong"
    return ""


def find_wrong_function() -> str:
    """Return the first function that is wrong by more than MAX_ULP; an empty string if none is."""
    x = np.geomspace(1e-9, 600.0, 405)
    for name in FUNCTIONS:
        for argument, result in zip(x.tolist(), getattr(npx, name)(x).tolist(), strict=True):
            exact = getattr(math, name)(argument)
            if not abs(result - exact) <= MAX_ULP * math.ulp(exact):
                return f"NumPy's float64 {name}({argument!r}) is {result!r} instead of {exact!r}"
    return ""
