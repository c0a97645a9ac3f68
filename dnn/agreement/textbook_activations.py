"""Activations and their derivatives, written out for ``textbook``."""

from collections.abc import Callable, Mapping
from math import pi, sqrt
from types import MappingProxyType

import numpy as np

Function = Callable[[np.ndarray], np.ndarray]


def sigmoid(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = 1.0 / (1.0 + np.exp(-z))
    return found


def gelu_tanh(z: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.tanh(sqrt(2.0 / pi) * (z + 0.044715 * z**3))
    return found


def gelu_slope(z: np.ndarray) -> np.ndarray:
    t = gelu_tanh(z)
    found: np.ndarray = (1.0 + t + z * (1.0 - t * t) * sqrt(2.0 / pi) * (1.0 + 0.134145 * z * z)) / 2.0
    return found


FORMULAS: Mapping[str, tuple[Function, Function]] = MappingProxyType({
    "linear": (lambda z: z, np.ones_like),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * (1.0 - sigmoid(z))),
    "tanh": (np.tanh, lambda z: 1.0 - np.tanh(z) ** 2),
    "relu": (lambda z: z * (z > 0.0), lambda z: (z > 0.0) * 1.0),
    "leaky_relu": (lambda z: np.where(z > 0.0, z, z / 100.0), lambda z: np.where(z > 0.0, 1.0, 0.01)),
    "elu": (lambda z: np.where(z > 0.0, z, np.exp(z) - 1.0), lambda z: np.where(z > 0.0, 1.0, np.exp(z))),
    "gelu": (lambda z: z * (1.0 + gelu_tanh(z)) / 2.0, gelu_slope),
    "silu": (lambda z: z * sigmoid(z), lambda z: sigmoid(z) * (1.0 + z * (1.0 - sigmoid(z)))),
    "softplus": (lambda z: np.log(1.0 + np.exp(z)), sigmoid),
})  # fmt: skip
"""Activation -> (f, f')."""
