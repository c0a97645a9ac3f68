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
Size = Callable[[int, int], float]  # of the inputs and outputs of a unit


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of one unit; leading axes, if any, are a receptive field."""
    field = int(np.prod(shape[:-2]))
    return shape[-2] * field, shape[-1] * field


def _uniform(size: Size) -> Initializer:
    """Uniform in +-sqrt(size)."""
    return lambda key, shape: sqrt(size(*_fans(shape))) * (2.0 * host_uniform(key, shape) - 1.0)


def _normal(size: Size) -> Initializer:
    """Normal with variance size."""
    return lambda key, shape: sqrt(size(*_fans(shape))) * host_normal(key, shape)


INITIALIZERS: Table[Initializer] = Table("initializer", {
    "glorot_uniform": _uniform(lambda n_in, n_out: 6.0 / (n_in + n_out)),  # Glorot and Bengio 2010, eq. 16
    "glorot_normal": _normal(lambda n_in, n_out: 2.0 / (n_in + n_out)),
    "he_uniform": _uniform(lambda n_in, _: 6.0 / n_in),  # He et al. 2015, eq. 10
    "he_normal": _normal(lambda n_in, _: 2.0 / n_in),
    "zeros": lambda key, shape: np.zeros(shape),
})  # fmt: skip


def initializer_for(activation: str) -> str:
    """The usual initial weights before this activation: He's where it is near 0 below 0, else Glorot's."""
    return "he_uniform" if ACTIVATIONS[activation].rectifies else "glorot_uniform"
