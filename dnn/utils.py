"""Functions on targets, under the module name of Keras."""

from typing import Any

import numpy as np

from backends import InputError
from dnn.inputs.conversion import NUMBER_KINDS
from dnn.settings.checks import positive_integer

__all__ = ["to_categorical"]


def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """Return class numbers as one-hot rows. The losses take class numbers too, in less memory.

    Args:
        x: (N,) or (N, 1) class numbers from 0.
        num_classes: C; None: the largest number plus 1.
    Returns (N, C) float64.
    Raises InputError: no class numbers, or a number that is not below ``num_classes``.

    >>> to_categorical([1, 0, 1])
    array([[0., 1.],
           [1., 0.],
           [0., 1.]])
    """
    numbers = np.asarray(x)
    if numbers.shape[1:] == (1,):
        numbers = numbers[:, 0]
    is_whole = numbers.dtype.kind in NUMBER_KINDS and np.all(numbers % 1 == 0)
    if numbers.ndim != 1 or not numbers.size or not is_whole:
        got = f"x has shape {numbers.shape} and dtype {numbers.dtype}"
        raise InputError(got, "class numbers (N,) or (N, 1), with N of at least 1")
    whole = numbers.astype(np.int64)
    classes = int(whole.max()) + 1 if num_classes is None else positive_integer("num_classes", num_classes)
    if whole.min() < 0 or whole.max() >= classes:
        got = f"x holds class numbers from {whole.min()} to {whole.max()}"
        raise InputError(got, f"0 to {classes - 1}, below num_classes")
    return np.asarray(np.eye(classes)[whole])
