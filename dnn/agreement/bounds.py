"""Bounds for the error of a float32 run relative to the float64 oracle, one function per kind of tensor.

u is the unit roundoff, half the distance from 1 to the next number (2^-24 in float32). A sum of k products
with independent roundings has a relative error of about sqrt(k) u. The errors of a chain of sums add up.
Errors are eta = norm(X - X64) / norm(X64) with the Frobenius norm. The constant 10 in the bounds covers the
few element-wise operations between two products.

TF32 rounds both factors of a product to 10 bits, by up to 2^-11 each. Bounds of products then use u = 2^-10.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np

UNIT_ROUNDOFFS = {"float32": 2.0**-24, "reproducible": 2.0**-24, "float64": 2.0**-53, "tf32": 2.0**-10}
U = UNIT_ROUNDOFFS["float32"]

UNARY_ULP = 4.0
COMPOSITE_ULP = 8.0
PIECEWISE_ULP = {"linear": 0.0, "relu": 0.0, "leaky_relu": UNARY_ULP}
"""Bounds of activations that select a branch and multiply at most once."""
TRAJECTORY_BOUND = 1e-9
MAX_ACCURACY_POINTS = 0.25


def norm(x: np.ndarray) -> float:
    """Return the Frobenius norm. np.linalg.norm would wake the BLAS threads even for a short vector."""
    return float(np.sqrt(np.sum(x * x)))


def eta(x: np.ndarray, x64: np.ndarray, start: np.ndarray | float = 0.0) -> float:
    """Return norm(x - x64) / norm(x64 - start); relative to norm(x64) if that is 0, and norm(x) if x64 is 0.

    Args:
        start: of a path to x64, if the error is relative to its length.
    """
    return norm(x - x64) / (norm(x64 - start) or norm(x64) or 1.0)


def relative_error(x: np.ndarray, x64: np.ndarray, floor: float) -> float:
    """Return the largest of all errors abs(x - x64) / (floor + abs(x64)); a floor above 0 avoids 0 / 0."""
    return float(np.max(np.abs(x - x64) / (floor + np.abs(x64)), initial=0.0))


def ulp_error(x: np.ndarray, x64: np.ndarray, scale: np.ndarray | float = 0.0) -> float:
    """Return the largest error in float32 ULPs of max(abs(x64), scale).

    NaN equals NaN, and an infinity equals only itself. If x64 is subnormal, any value between 0 and the
    smallest normal number is accepted: CuPy flushes subnormals to 0, NumPy and torch on the CPU do not.
    """
    info = np.finfo(np.float32)
    tiny = float(info.tiny)
    largest = float(info.max)
    expected = np.where(np.abs(x64) > largest, np.copysign(np.inf, x64), x64)
    same = (x == expected) | (np.isnan(x) & np.isnan(expected))
    denormal = (np.abs(expected) < tiny) & (np.abs(x) <= tiny)
    size = np.clip(np.maximum(np.abs(expected), scale), tiny, largest)
    spacing = 2.0**29 * np.spacing(size)  # float64 has 29 bits more
    with np.errstate(invalid="ignore"):
        error = np.where(same | denormal, 0.0, np.abs(x - expected) / spacing)
    return float(np.max(np.where(np.isnan(error), np.inf, error), initial=0.0))


def layer(k: float, u: float = U, condition: float = 1.0, constant: float = 5.0) -> float:
    """Return the bound of one layer: u ((sqrt(k - 1) + constant) condition + constant).

    Args:
        k: number of products added up in one element.
        condition: factor by which the layer magnifies a relative error of its input. It applies to the sum
            and to the operations before a normalisation subtracts the mean.
        constant: element-wise operations before and after the magnification. If the condition is measured,
            4 is enough for a layer, and 2 for the longest sum of a network.
    """
    return u * ((sqrt(k - 1.0) + constant) * condition + constant)


def forward(inner: Sequence[int], u: float = U) -> float:
    """Return the bound of z of the last layer in a chain of products: u (sum_i sqrt(k_i) + 10).

    Args:
        inner: k_i = n_in of each layer.
    """
    return u * (sum(map(sqrt, inner)) + 10.0)
