"""Compiled functions for the reproducible precision, with the bits of ``backends.reproducible``.

They are compiled without fast math, so that LLVM neither fuses a product with a sum nor changes an order.
"""

from functools import partial
from math import factorial
from typing import Any

import numpy as np

from backends.numba.compilation import jit_cached
from backends.reference import Kernels
from backends.reference.control import BIAS_1, BIAS_2, RATE, UPDATES
from backends.reference.optimizers import FLUSH_EVERY, MOMENT_FLOOR, advance_adam_control
from backends.reference.signatures import Arrays, Numbers
from backends.reproducible.functions import EXP_TERMS, LN2_HIGH, LN2_LOW, MAX_EXP_ARGUMENT
from backends.reproducible.sums import matmul

Array = np.ndarray
K_BLOCK = 64  # rows of b that stay in the cache for all rows of a
jit_exact = partial(jit_cached, fastmath=())
EXP_COEFFICIENTS = tuple(1.0 / factorial(i + 2) for i in range(EXP_TERMS))


@jit_exact
def _multiply(a, b, out):  # type: ignore[no-untyped-def]
    """Write the product of (n, k) and (k, m) to out: sum_k a_ik b_kj in the order of k."""
    n, depth = a.shape
    m = b.shape[1]
    for start in range(0, depth, K_BLOCK):
        stop = min(start + K_BLOCK, depth)
        for i in range(n):
            row = out[i]
            k = start
            if k == 0:
                s = a[i, 0]
                for j in range(m):
                    row[j] = s * b[0, j]
                k = 1
            while k + 3 < stop:
                s0 = a[i, k]
                s1 = a[i, k + 1]
                s2 = a[i, k + 2]
                s3 = a[i, k + 3]
                for j in range(m):
                    total = row[j] + s0 * b[k, j]
                    total = total + s1 * b[k + 1, j]
                    total = total + s2 * b[k + 2, j]
                    row[j] = total + s3 * b[k + 3, j]
                k += 4
            while k < stop:
                s = a[i, k]
                for j in range(m):
                    row[j] = row[j] + s * b[k, j]
                k += 1


def multiply_matrices(xp: Any, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the product of (n, k) and (k, m)."""
    out = np.empty((a.shape[0], b.shape[1]), dtype=a.dtype)
    _multiply(np.ascontiguousarray(a), np.ascontiguousarray(b), out)
    return out


@jit_exact
def _exp(x, y):  # type: ignore[no-untyped-def]
    """y = e^x as ``backends.reproducible.functions.exp`` computes it, in one pass."""
    for i in range(x.shape[0]):
        z = np.float64(x[i])
        inside = abs(z) < MAX_EXP_ARGUMENT
        z0 = z if inside else 0.0
        n = np.floor(z0 * (1.0 / (LN2_HIGH + LN2_LOW)) + 0.5)
        r = (z0 - n * LN2_HIGH) - n * LN2_LOW
        series = EXP_COEFFICIENTS[EXP_TERMS - 1]
        for t in range(EXP_TERMS - 1):
            series = series * r + EXP_COEFFICIENTS[EXP_TERMS - 2 - t]
        k = np.int64(n)
        half = k >> 1
        first = np.int64((half + 1023) << 52).view(np.float64)  # 2^half: the exponent's bits
        second = np.int64((k - half + 1023) << 52).view(np.float64)
        result = (1.0 + (r + r * r * series)) * first * second
        if not inside:
            result = np.inf if z > 0 else (0.0 if z < 0 else z)
        y[i] = result


def exp(x: np.ndarray, /) -> np.ndarray:
    """Return e^x."""
    y = np.empty(x.shape, dtype=x.dtype)
    _exp(np.ravel(x), y.reshape(-1))
    return y


@jit_exact
def _adam(p, g, m, v, numbers, flush):  # type: ignore[no-untyped-def]
    beta1, rest1, beta2, rest2, epsilon, rate, root, floor = numbers
    zero = m.dtype.type(0.0)
    for i in range(p.shape[0]):
        moment = beta1 * m[i] + rest1 * g[i]
        square = beta2 * v[i] + rest2 * (g[i] * g[i])
        if flush:
            moment = zero if abs(moment) < floor else moment
            square = zero if abs(square) < floor else square
        m[i] = moment
        v[i] = square
        p[i] = p[i] - rate * moment / (np.sqrt(square) / root + epsilon)


class ReproducibleOptimizers(Kernels):
    """The step of Adam."""

    def adam(self, p: Array, g: Array, slots: Arrays, control: Array, settings: Numbers) -> None:
        if len(slots) > 2 or len(settings) > 3:
            return super().adam(p, g, slots, control, settings)
        m, v = slots
        beta1, beta2, epsilon = settings
        advance_adam_control(control, beta1, beta2)
        rate = (control[RATE] / control[BIAS_1])[0]
        root = np.sqrt(control[BIAS_2])[0]
        numbers = (beta1, 1.0 - beta1, beta2, 1.0 - beta2, epsilon, rate, root, MOMENT_FLOOR)
        flush = control[UPDATES][0] % FLUSH_EVERY == 0
        _adam(p, g, m, v, tuple(map(p.dtype.type, numbers)), flush)


def functions(xp: Any) -> dict[str, Any]:
    """Return the functions that replace those of the namespace: name -> function."""
    return {"matmul": partial(matmul, xp, multiply=multiply_matrices), "exp": exp, "sqrt": np.sqrt}
