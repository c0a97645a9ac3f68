"""How far a float32 run may be from the float64 oracle: one function for each sort of tensor.

u is half the distance from 1 to the next number (2^-24 in float32). A sum of k products whose roundings
are independent errs by about sqrt(k) u of its size; a chain of such sums adds up. The errors here are
eta = norm(X - X64) / norm(X64), Frobenius. The constants 10 stand for the few element-wise operations
between two products.

With TF32 both factors of a product are rounded to 10 bits first, by up to 2^-11 each, and u is 2^-10 in all
bounds of products.
"""

from collections.abc import Sequence
from math import sqrt

import numpy as np

from backends.reference.optimizers import MOMENT_FLOOR

UNIT_ROUNDOFFS = {"float32": 2.0**-24, "float64": 2.0**-53, "tf32": 2.0**-10}
U = UNIT_ROUNDOFFS["float32"]

UNARY_ULP = 4.0
COMPOSITE_ULP = 8.0
PIECEWISE_ULP = {"linear": 0.0, "relu": 0.0, "leaky_relu": UNARY_ULP}
"""Activations that choose, and multiply at most once."""
STEP_GRADIENT_UNITS = 4.0
"""u of a gradient that takes a few values only, such as sign(P - Y) / B."""
TRAJECTORY_BOUND = 1e-9
MAX_ACCURACY_POINTS = 0.25


def norm(x: np.ndarray) -> float:
    """Frobenius; without np.linalg.norm, whose dot product wakes the BLAS threads for a short vector."""
    return float(np.sqrt(np.sum(x * x)))


def eta(x: np.ndarray, x64: np.ndarray) -> float:
    """norm(x - x64) / norm(x64); the norm of x itself where x64 is 0."""
    size = norm(x64)
    return norm(x - x64) / (size or 1.0)


def eta_of_path(x: np.ndarray, x64: np.ndarray, start: np.ndarray) -> float:
    """norm(x - x64) relative to the way that x64 went from a start; where it stands still, eta."""
    way = norm(x64 - start)
    return norm(x - x64) / way if way else eta(x, x64)


def ulp_error(x: np.ndarray, x64: np.ndarray, scale: np.ndarray | float = 0.0) -> float:
    """The largest error in units in the last place (float32) of max(abs(x64), scale).

    NaN must meet NaN and infinity the same infinity. Where the oracle lies below the smallest normal
    number, anything down to 0 is right: CuPy flushes denormals, NumPy and torch on the CPU do not.
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
    """Total of the terms that are too small for a sum, in units of u times the sum; the largest over rows.

    A float32 sum S absorbs a term below half its unit in the last place, which is at most u S. One lane that
    adds term after term, the least favourable order, loses all of them.

    Args:
        y: (N, C), the terms of each sum divided by the sum.
    """
    return float(np.max(np.sum(np.where(y < U, y, 0.0), axis=1), initial=0.0)) / U


def softmax_ulp(spread: float, y: np.ndarray) -> float:
    """Softmax: exp(z - max z) turns the rounding of z - max z, up to u spread, into a relative error; and
    the sum of C numbers adds that of a sum, sqrt(C) u, and the terms that it absorbs.

    8 ULP, as for other composites, would hold for a few numbers with a spread of a few units only.

    Args:
        spread: max z - min z, the largest over rows.
        y: (N, C), the softmax in float64.
    """
    return COMPOSITE_ULP + spread + sqrt(y.shape[1]) + absorption(y)


def softmax_slope_ulp(y: np.ndarray) -> float:
    """y_i (dy_i - sum_j dy_j y_j) in units of the largest dy, for y as in ``softmax_ulp``. The spread s is
    not in it: exp(-s) is off by s u, but s exp(-s) is at most 1/e, and its sum over j at most log(C) + 1/e.
    Absorption counts twice, in y and in the sum of dy y.
    """
    return COMPOSITE_ULP + sqrt(y.shape[1]) + 2.0 * absorption(y)


def layer(k: float, u: float = U, condition: float = 1.0, constant: float = 5.0) -> float:
    """A sum of k products and what is applied to it: u (sqrt(k - 1) + 10).

    Half of the 10 are magnified by a condition, as is the sum: what comes before a mean is taken off.

    Args:
        condition: what a normalisation makes of a relative error of its input (``samples.condition``), or an
            activation of one of z.
        constant: half of the 10. 4 for y and dx, which have many elements; a gradient of few may cancel.
    """
    return u * ((sqrt(k - 1.0) + constant) * condition + constant)


def forward(inner: Sequence[int], index: int, u: float = U) -> float:
    """Pre-activation z of layer ``index`` in a chain of products: u sum_{i <= l} sqrt(k_i) + 10 u."""
    return u * (sum(sqrt(k) for k in inner[: index + 1]) + 10.0)


def gradient(
    inner: Sequence[int], outer: Sequence[int], index: int, batch: int, kappa: float, u: float = U
) -> float:
    """dW and db of layer ``index``.

    u [kappa (sum_fwd sqrt(k) + 10) + sum_bwd sqrt(k) + sqrt(B) + sum_{i < l} sqrt(k_i)]: the error of
    the outputs P, magnified by kappa = norm(P) / norm(P - Y) as P - Y cancels; that of the products on
    the way back; of the sum over the batch; and of the layer's input.

    Args:
        inner, outer: k_i = n_in and n_out of each layer.
        batch: numbers added up: examples, times the places of a convolution.
        kappa: from the oracle.
    """
    ahead = sum(sqrt(k) for k in inner)
    back = sum(sqrt(n) for n in outer[index + 1 :])
    before = sum(sqrt(k) for k in inner[:index])
    return u * (kappa * (ahead + 10.0) + back + sqrt(batch) + before)


def loss_value(batch: int, classes: int, size: float, value: float) -> float:
    """The mean loss from given outputs: a sum over classes and over the batch.

    A loss smaller than the outputs it is made of, of this rms size, is a difference of them, and magnifies
    their rounding.
    """
    return U * (sqrt(batch) + sqrt(classes) + 10.0) * max(1.0, size / value if value else 1.0)


def loss_gradient(summed: int, kappa: float) -> float:
    """The loss's gradient from given outputs: (P - Y) / B, with P's error magnified by kappa (0: steps).

    Args:
        summed: numbers in the sum of a softmax; 0: P is found element by element.
    """
    return U * (kappa * (sqrt(summed) + (10.0 if summed else 5.0)) + STEP_GRADIENT_UNITS)


def slot(vector64: np.ndarray) -> float:
    """An optimizer's moment after one update from a given gradient: a few roundings.

    Ours become 0 below MOMENT_FLOOR on every FLUSH_EVERY-th update, torch's never: that much may be
    missing in each element.
    """
    size = norm(vector64) or 1.0
    return 8.0 * U + MOMENT_FLOOR * sqrt(vector64.size) / size


def update(values64: np.ndarray, displacement64: np.ndarray, weight_decay: bool = False) -> float:
    """The parameters after one update from a given gradient, relative to their own norm.

    The displacement carries a dozen roundings (u each, of its own size); adding it to the value rounds
    once more, at the value's size. So do AdamW's factor 1 - rate weight_decay, and its product.
    """
    size = norm(values64) or 1.0
    moved = norm(displacement64)
    return U * ((3.0 if weight_decay else 1.0) + 16.0 * moved / size)
