"""Initial weights, by the names that PyTorch and Keras share.

Each takes a stream's key and a shape (n_in, n_out) and returns float64 host numbers, so that every
backend starts from the same weights, rounded once to its dtype.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np

from backends.reference import ACTIVATIONS
from backends.table import Table
from dnn.random import Key, host_normal, host_uniform

Initializer = Callable[[Key, tuple[int, ...]], np.ndarray]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of one unit; leading axes, if any, are a receptive field."""
    field = int(np.prod(shape[:-2]))
    return shape[-2] * field, shape[-1] * field


def glorot_uniform(key: Key, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in +-sqrt(6 / (n_in + n_out)) (Glorot and Bengio 2010, equation 16)."""
    n_in, n_out = _fans(shape)
    return sqrt(6.0 / (n_in + n_out)) * (2.0 * host_uniform(key, shape) - 1.0)


def glorot_normal(key: Key, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with variance 2 / (n_in + n_out) (Glorot and Bengio 2010)."""
    n_in, n_out = _fans(shape)
    return sqrt(2.0 / (n_in + n_out)) * host_normal(key, shape)


def he_uniform(key: Key, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform in +-sqrt(6 / n_in) (He et al. 2015, equation 10)."""
    n_in, _ = _fans(shape)
    return sqrt(6.0 / n_in) * (2.0 * host_uniform(key, shape) - 1.0)


def he_normal(key: Key, shape: tuple[int, ...]) -> np.ndarray:
    """Normal with variance 2 / n_in (He et al. 2015, equation 10)."""
    n_in, _ = _fans(shape)
    return sqrt(2.0 / n_in) * host_normal(key, shape)


def zeros(key: Key, shape: tuple[int, ...]) -> np.ndarray:
    """All zero (biases)."""
    return np.zeros(shape)


INITIALIZERS: Table[Initializer] = Table(
    "initializer", {f.__name__: f for f in (glorot_uniform, glorot_normal, he_uniform, he_normal, zeros)}
)


def initializer_for(activation: str) -> str:
    """The usual initial weights before this activation: He's where it is near 0 below 0, else Glorot's."""
    return "he_uniform" if ACTIVATIONS[activation].rectifies else "glorot_uniform"
