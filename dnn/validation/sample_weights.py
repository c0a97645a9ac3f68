"""How much each example counts: ``sample_weight`` and ``class_weight`` become one number an example."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import shown
from dnn.validation.arrays import numbers
from dnn.validation.conversion import taken
from dnn.validation.settings import require_number

Array = Any
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
    weights = backend.xp.ones(y.shape[0], dtype=backend.dtype, device=backend.device)
    if sample_weight is not None:
        weights = _sample_weights(backend, sample_weight, int(y.shape[0]))
    if class_weight is not None:
        weights = weights * _class_weights(backend, class_weight, y, outputs, ignored)
    return weights if ignored is None else backend.xp.where(y == ignored, weights * 0.0, weights)


def _sample_weights(backend: Backend, given: Any, n: int) -> Array:
    given = taken(backend, "sample_weight", given)
    if tuple(given.shape) != (n,):
        got = f"sample_weight has shape {tuple(given.shape)}"
        raise InputError(f"{got}, expected ({n},): one for each example")
    given = numbers(backend, "sample_weight", given)
    if float(backend.xp.min(given)) < 0.0:
        raise InputError("sample_weight holds NaN, infinity or numbers below 0, expected finite ones from 0")
    return given


def _class_weights(backend: Backend, given: Any, y: Array, outputs: int, ignored: int | None) -> Array:
    found, classes = _classes(backend, y, outputs), max(outputs, 2)
    if isinstance(given, str) and given == "balanced":
        host = backend.to_host(found)
        table = _balanced(host if ignored is None else host[host != ignored], classes)
    else:
        table = _named(given, classes)
    if ignored is not None:
        found = backend.xp.where(found == ignored, found * 0, found)
    return backend.xp.take(backend.from_host(table.astype(backend.dtype_name)), found, axis=0)


def _classes(backend: Backend, y: Array, outputs: int) -> Array:
    """The class of each example, (N,) integers."""
    xp = backend.xp
    if y.ndim == 1:
        return y
    if outputs == 1:
        return xp.astype(y[:, 0] > 0.5, xp.int64)
    return xp.astype(xp.argmax(y, axis=1), xp.int64)


def _balanced(found: np.ndarray, classes: int) -> np.ndarray:
    """The weight of each class, (classes,) in float64, by which all that occur count alike."""
    counts = np.bincount(found, minlength=classes)
    there = counts > 0
    table = np.ones(classes)
    table[there] = len(found) / (there.sum() * counts[there])
    return table


def _named(given: Any, classes: int) -> np.ndarray:
    """The weight of each class, (classes,) in float64, as given."""
    if not isinstance(given, Mapping):
        got = f"class_weight is {shown(given)}"
        raise InputError(f"{got}, expected 'balanced' or a dict such as {{0: 1.0, 1: 5.0}}")
    table = np.ones(classes)
    for number, weight in given.items():
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < classes:
            raise InputError(f"class_weight names class {shown(number)}, expected classes 0 to {classes - 1}")
        plain = weight.item() if isinstance(weight, np.generic) else weight
        require_number(f"class_weight[{number}]", plain, 0.0)
        table[number] = weight
    return table
