"""Numbers that people read: how many predictions are right, and in which way the others are wrong.

``count_correct`` runs on the device, in every update. The others take what ``predict`` and a data set give,
on the host: labels are (N,) class numbers or (N, C) one-hot rows, predictions (N,) class numbers or (N, C)
scores, whose class is the largest. Definitions are scikit-learn's.
"""

from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import brief
from backends.reference.losses import as_dense
from dnn.validation.settings import positive_integer

Array = Any
__all__ = ["METRICS", "confusion_matrix", "precision", "recall", "top_k_accuracy"]


def count_correct(
    backend: Backend, outputs: Array, targets: Array, boundary: float = 0.5, elementwise: bool = False
) -> Array:
    """How many rows have their largest output at the target's class, as a 0-d array on the device.

    Args:
        outputs: (B, C), logits or probabilities. With one output the class is whether it is above boundary.
        targets: (B,) class numbers or (B, C) rows, whose class is their largest entry (C = 1: above 0.5).
        elementwise: each output of a row answers yes or no for itself: the share of right answers counts.
    """
    xp = backend.xp
    if outputs.shape[1] == 1 or (elementwise and targets.ndim == 2):
        right = (outputs > boundary) == (targets > 0.5)
    else:
        classes = targets if targets.ndim == 1 else xp.argmax(targets, axis=1)
        right = xp.argmax(outputs, axis=1) == classes
    return xp.sum(xp.astype(right, backend.dtype)) / (right.shape[1] if right.ndim == 2 else 1)


def absolute_error(backend: Backend, outputs: Array, targets: Array) -> Array:
    """Sum over the rows of mean_c |y_c - t_c|, as a 0-d array on the device; class numbers are one-hot."""
    xp = backend.xp
    dense = as_dense(xp, "integer" if targets.ndim == 1 else "dense", targets, outputs)
    return xp.sum(xp.abs(outputs - dense)) / outputs.shape[1]


METRICS = ("accuracy", "mean_absolute_error")
"""What ``compile`` can be asked to measure."""


def _array(argument: str, values: Any) -> np.ndarray:
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:  # lists of odd lengths, arrays of a device
        raise InputError(f"{argument} cannot be an array ({brief(error)}), expected numbers") from None


def _classes(argument: str, values: Any) -> np.ndarray:
    """Class numbers (N,) of class numbers or rows."""
    array = _array(argument, values)
    if array.ndim == 2 and array.shape[1] > 1:
        array = np.argmax(array, axis=1)
    if (
        array.ndim != 1
        or not np.issubdtype(array.dtype, np.integer)
        or (array.size and not 0 <= array.min() <= array.max() < 2**31)
    ):
        raise InputError(
            f"{argument} has shape {array.shape} and dtype {array.dtype}, expected class numbers (N,) from 0 "
            f"or rows (N, C) of at least two columns; of one output p, take (p[:, 0] > 0.5).astype(int)"
        )
    return array


def _pair(labels: Any, predictions: Any) -> tuple[np.ndarray, np.ndarray]:
    true, found = _classes("labels", labels), _classes("predictions", predictions)
    if true.shape != found.shape:
        raise InputError(f"labels are {true.shape[0]} and predictions {found.shape[0]}, expected as many")
    return true, found


def confusion_matrix(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """(C, C) int64: row t, column p counts the examples of class t that were taken for p.

    Args:
        classes: C; None: the largest class number that occurs, plus 1.

    Raises InputError: shapes that do not fit, or a class number of C or more.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1])
    array([[1, 1],
           [0, 1]])
    """
    true, found = _pair(labels, predictions)
    highest = int(max(true.max(initial=-1), found.max(initial=-1)))
    n = highest + 1 if classes is None else positive_integer("classes", classes)
    if highest >= n:
        raise InputError(f"classes is {n}, expected more than the class number {highest} that occurs")
    return np.bincount(true * n + found, minlength=n * n).reshape(n, n)


def precision(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """(C,): of the examples taken for a class, the share that is of it; 0 where none was taken for it.

    Its mean is scikit-learn's average="macro".

    >>> precision([0, 0, 1], [0, 1, 1])
    array([1. , 0.5])
    """
    counts = confusion_matrix(labels, predictions, classes)
    return _share(np.diag(counts), counts.sum(axis=0))


def recall(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """(C,): of the examples of a class, the share that was found; 0 where there are none.

    >>> recall([0, 0, 1], [0, 1, 1])
    array([0.5, 1. ])
    """
    counts = confusion_matrix(labels, predictions, classes)
    return _share(np.diag(counts), counts.sum(axis=1))


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.where(whole > 0, part / np.maximum(whole, 1), 0.0)


def top_k_accuracy(labels: Any, scores: Any, k: int = 5) -> float:
    """The share of examples for which fewer than k classes have a higher score than the right one.

    Args:
        scores: (N, C).

    Raises InputError: shapes that do not fit, or k below 1.

    >>> top_k_accuracy([0, 1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], k=2)
    0.6666666666666666
    """
    k = positive_integer("k", k)
    true, rows = _classes("labels", labels), _array("scores", scores)
    if rows.ndim != 2 or rows.shape[0] != true.shape[0] or true.max(initial=-1) >= rows.shape[1]:
        raise InputError(
            f"scores have shape {rows.shape}, expected ({true.shape[0]}, C) with a column for each label"
        )
    higher = np.sum(rows > np.take_along_axis(rows, true[:, None], axis=1), axis=1)
    return float(np.mean(higher < k)) if len(true) else 0.0
