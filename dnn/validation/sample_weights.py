"""How much each example counts: ``sample_weight`` and ``class_weight`` become one number an example."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import shown
from dnn.validation.arrays import numbers
from dnn.validation.conversion import taken
from dnn.validation.settings import is_integer, require, require_number

ClassWeight = Mapping[int, float] | str | None


def combined_weights(
    backend: Backend, y: Array, sample_weight: Any, class_weight: ClassWeight, outputs: int,
    ignored: int | None = None,
) -> Array | None:  # fmt: skip
    """The weights on the device, (N,) in the backend's dtype; None: all examples count alike.

    Args:
        y: admitted targets; the class of a row is its largest entry, or with one output 1 above 0.5, else 0.
        sample_weight: (N,) numbers of at least 0, as ``arrays.targets`` takes them.
        class_weight: class number -> number of at least 0; classes that are not named have 1. Or
            "balanced": N / (classes that occur * examples of the class), as scikit-learn has it.
        ignored: class number of the examples whose weight is 0, and which "balanced" does not see.
    Raises InputError: another shape, an unknown class, a negative number, NaN or infinity.
    """
    ignored = ignored if y.ndim == 1 else None
    if sample_weight is None and class_weight is None and ignored is None:
        return None
    n = int(y.shape[0])
    weights = backend.xp.ones(n, dtype=backend.dtype, device=backend.device)
    if sample_weight is not None:
        given = taken(backend, "sample_weight", sample_weight)
        if tuple(given.shape) != (n,):
            raise InputError(f"sample_weight has shape {tuple(given.shape)}", f"({n},): one for each example")
        weights = numbers(backend, "sample_weight", given)
        if float(backend.xp.min(weights)) < 0.0:
            raise InputError("sample_weight holds NaN, infinity or numbers below 0", "finite ones from 0")
    if class_weight is not None:
        weights = weights * _class_weights(backend, class_weight, y, outputs, ignored)
    return weights if ignored is None else backend.xp.where(y == ignored, weights * 0.0, weights)


def _class_weights(backend: Backend, given: Any, y: Array, outputs: int, ignored: int | None) -> Array:
    xp, classes = backend.xp, max(outputs, 2)
    if y.ndim == 2:
        y = xp.astype(y[:, 0] > 0.5 if outputs == 1 else xp.argmax(y, axis=1), xp.int64)
    if isinstance(given, str) and given == "balanced":
        host = backend.to_host(y)
        counted = host if ignored is None else host[host != ignored]
        counts, table = np.bincount(counted, minlength=classes), np.ones(classes)
        there = counts > 0  # all that occur count alike
        table[there] = len(counted) / (there.sum() * counts[there])
    else:
        table = _named(given, classes)
    if ignored is not None:
        y = xp.where(y == ignored, y * 0, y)
    return xp.take(backend.from_host(table.astype(backend.dtype_name)), y, axis=0)


def _named(given: Any, classes: int) -> np.ndarray:
    """The weight of each class, (classes,) in float64, as given."""
    expected = "'balanced' or a dict such as {0: 1.0, 1: 5.0}"
    require(isinstance(given, Mapping), "class_weight", given, expected)
    table = np.ones(classes)
    for number, weight in given.items():
        if not is_integer(number) or not 0 <= number < classes:
            raise InputError(f"class_weight names class {shown(number)}, expected classes 0 to {classes - 1}")
        plain = weight.item() if isinstance(weight, np.generic) else weight
        require_number(f"class_weight[{number}]", plain, 0.0)
        table[number] = weight
    return table
