"""NumPy's normalisation over the batch: sums as products with ones, the rest in the arrays that are there."""

from typing import Any

import numpy as np

from backends.reference.signatures import Arrays, Numbers

Array = np.ndarray


def _column_sums(x: Array) -> Array:
    """BLAS is faster than sum(axis=0), and its partial sums round less."""
    sums: Array = np.ones(x.shape[0], dtype=x.dtype) @ x
    return sums


def batch_norm(
    xp: Any, x: Array, gamma: Array, beta: Array, running: Arrays, settings: Numbers, kept: Arrays, y: Array
) -> None:
    (running_mean, running_variance), (momentum, epsilon), (mean, inverse) = running, settings, kept
    n = x.shape[0]
    np.divide(_column_sums(x), n, out=mean)
    np.subtract(x, mean, out=y)
    variance = _column_sums(y * y) / n
    np.divide(1.0, np.sqrt(variance + epsilon), out=inverse)
    y *= inverse * gamma
    y += beta
    running_mean *= 1.0 - momentum
    running_mean += momentum * mean
    running_variance *= 1.0 - momentum
    running_variance += (momentum * n / (n - 1)) * variance


def batch_norm_backward(xp: Any, dy: Array, x: Array, kept: Arrays, gamma: Array, gradients: Arrays) -> None:
    (mean, inverse), (dgamma, dbeta, dx) = kept, gradients
    n = x.shape[0]
    normal = x - mean
    normal *= inverse
    np.copyto(dgamma, _column_sums(dy * normal))
    np.copyto(dbeta, _column_sums(dy))
    if dx is not None:
        normal *= dgamma / n
        normal += dbeta / n
        np.subtract(dy, normal, out=dx)
        dx *= gamma * inverse
