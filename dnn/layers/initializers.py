"""Initial weights, by the names that PyTorch and Keras share.

Each initializer is a function of a stream's key and a shape (..., n_in, n_out). It returns a float64 host
array, which the backend rounds to its dtype.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np

from backends.table import Table
from dnn.random import Key, host_normal, host_uniform
from dnn.typing import Shape

Initializer = Callable[[Key, Shape], np.ndarray]


def _variance_initializer(size: Callable[[int, int], float], uniform: bool) -> Initializer:
    """Return an initializer: uniform in +-sqrt(size), or normal with variance size.

    Args:
        size: function of the number of inputs and outputs of a unit.
        uniform: whether the values are uniform or normal.
    """

    def draw(key: Key, shape: Shape) -> np.ndarray:
        field = int(np.prod(shape[:-2]))  # leading axes are the window of a convolution
        numbers = 2.0 * host_uniform(key, shape) - 1.0 if uniform else host_normal(key, shape)
        return sqrt(size(shape[-2] * field, shape[-1] * field)) * numbers

    return draw


INITIALIZERS: Table[Initializer] = Table("initializer", {
    # Glorot and Bengio 2010, eq. 16; He et al. 2015, eq. 10.
    "glorot_uniform": _variance_initializer(lambda n_in, n_out: 6.0 / (n_in + n_out), uniform=True),
    "glorot_normal": _variance_initializer(lambda n_in, n_out: 2.0 / (n_in + n_out), uniform=False),
    "he_uniform": _variance_initializer(lambda n_in, _: 6.0 / n_in, uniform=True),
    "he_normal": _variance_initializer(lambda n_in, _: 2.0 / n_in, uniform=False),
    "zeros": lambda key, shape: np.zeros(shape),
})  # fmt: skip
