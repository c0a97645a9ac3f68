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

from backends.reference.optimizers import MOMENT_FLOOR

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


def eta(x: np.ndarray, x64: np.ndarray) -> float:
    """Return norm(x - x64) / norm(x64), or norm(x) if x64 is 0."""
    size = norm(x64)
    return norm(x - x64) / (size or 1.0)


def eta_of_path(x: np.ndarray, x64: np.ndarray, start: np.ndarray) -> float:
    """Return norm(x - x64) / norm(x64 - start), or ``eta`` if x64 has not moved from its start."""
    distance = norm(x64 - start)
    return norm(x - x64) / distance if distance else eta(x, x64)


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
    _, exponent = np.frexp(np.where(np.isnan(size), 1.0, size))
    spacing = np.ldexp(1.0, exponent - 24)
    with np.errstate(invalid="ignore"):
        error = np.where(same | denormal, 0.0, np.abs(x - expected) / spacing)
    return float(np.max(np.where(np.isnan(error), np.inf, error), initial=0.0))


def absorption(y: np.ndarray) -> float:
    """Return the total of the terms that a float32 sum may lose, in units of u times the sum.

    Adding a term below half a ULP of the sum S, at most u S, leaves S unchanged. Adding the terms one after
    another, the least favourable order, may lose all such terms.

    Args:
        y: (N, C), the terms of each sum divided by the sum.

    Returns the largest total over the rows.
    """
    return float(np.max(np.sum(np.where(y < U, y, 0.0), axis=1), initial=0.0)) / U


def softmax_ulp(spread: float, y: np.ndarray) -> float:
    """Return the bound of softmax in ULPs: 8 + spread + sqrt(C) + absorption.

    exp(z - max z) turns the rounding of z - max z, up to u spread, into a relative error. The sum of C
    numbers adds sqrt(C) u and the terms that it loses. 8 ULP, as for other composite functions, would hold
    only for few numbers with a small spread.

    Args:
        spread: largest max z - min z over the rows.
        y: (N, C), the softmax in float64.
    """
    return COMPOSITE_ULP + spread + sqrt(y.shape[1]) + absorption(y)


def softmax_slope_ulp(y: np.ndarray) -> float:
    """Return the bound of softmax's gradient y_i (dy_i - sum_j dy_j y_j), in ULPs of the largest dy.

    The spread s does not enter: exp(-s) has an error of s u, but s exp(-s) is at most 1/e, and its sum over j
    at most log(C) + 1/e. Absorption counts twice, in y and in the sum of dy y.

    Args:
        y: (N, C), the softmax in float64.
    """
    return COMPOSITE_ULP + sqrt(y.shape[1]) + 2.0 * absorption(y)


def layer(k: float, u: float = U, condition: float = 1.0, constant: float = 5.0) -> float:
    """Return the bound of one layer: u ((sqrt(k - 1) + constant) condition + constant).

    Args:
        k: number of products added up in one element.
        condition: factor by which a normalisation magnifies a relative error of its input
            (``samples.condition``), or an activation one of z. It applies to the sum and to the operations
            before the mean is subtracted.
        constant: element-wise operations before and after the magnification. 4 is enough for y and dx, which
            have many elements; a gradient with few elements may cancel.
    """
    return u * ((sqrt(k - 1.0) + constant) * condition + constant)


def forward(inner: Sequence[int], index: int, u: float = U) -> float:
    """Return the bound of z of layer l = ``index`` in a chain of products: u (sum_{i <= l} sqrt(k_i) + 10).

    Args:
        inner: k_i = n_in of each layer.
    """
    return u * (sum(sqrt(k) for k in inner[: index + 1]) + 10.0)


def gradient(
    inner: Sequence[int], outer: Sequence[int], index: int, batch: int, kappa: float, u: float = U
) -> float:
    """Return the bound of dW and db of layer l = ``index``.

    u [kappa (sum_i sqrt(n_in_i) + 10) + sum_{i > l} sqrt(n_out_i) + sqrt(B) + sum_{i < l} sqrt(n_in_i)]

    The terms are the error of the outputs P, magnified by kappa = norm(P) / norm(P - Y) since P - Y cancels;
    the error of the backward products; of the sum over the batch; and of the layer's input.

    Args:
        inner, outer: n_in and n_out of each layer.
        batch: B, the number of terms in the sum: examples, times positions for a convolution.
        kappa: norm(P) / norm(P - Y) of the oracle.
    """
    ahead = sum(sqrt(k) for k in inner)
    back = sum(sqrt(n) for n in outer[index + 1 :])
    before = sum(sqrt(k) for k in inner[:index])
    return u * (kappa * (ahead + 10.0) + back + sqrt(batch) + before)


def slot(vector64: np.ndarray) -> float:
    """Return the bound of an optimizer's moment after one update from a given gradient: a few roundings.

    Our optimizers set moments below MOMENT_FLOOR to 0 on every FLUSH_EVERY-th update, torch never does. So
    each element may differ by MOMENT_FLOOR.
    """
    size = norm(vector64) or 1.0
    return 8.0 * U + MOMENT_FLOOR * sqrt(vector64.size) / size


def update(values64: np.ndarray, displacement64: np.ndarray, weight_decay: bool = False) -> float:
    """Return the bound of the parameters after one update from a given gradient, relative to their norm.

    The displacement has a dozen roundings of its own size. Adding it to the parameters rounds once at their
    size. AdamW's factor 1 - rate decay and the product with it add two more roundings of that size.

    Args:
        values64: parameters after the update. displacement64: how far the update moved them.
        weight_decay: whether the optimizer is AdamW.
    """
    size = norm(values64) or 1.0
    moved = norm(displacement64)
    return U * ((3.0 if weight_decay else 1.0) + 16.0 * moved / size)
