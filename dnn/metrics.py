"""Numbers that people read: how many predictions are right, and in which way the others are wrong.

They take what ``predict`` and a data set give, on the host: labels are (N,) class numbers or (N, C) one-hot
rows, predictions (N,) class numbers or (N, C) scores, whose class is the largest. Definitions are
scikit-learn's. What is measured while a network trains is ``dnn.measures``.
"""

from typing import Any

import numpy as np

from backends.errors import InputError, refusing
from dnn.validation.settings import positive_integer, require

__all__ = ["confusion_matrix", "precision", "recall", "top_k_accuracy"]


def _array(argument: str, values: Any) -> np.ndarray:
    kinds = TypeError, ValueError, RuntimeError  # lists of odd lengths, arrays of a device
    with refusing(kinds, f"{argument} cannot be an array", "numbers"):
        return np.asarray(values)


def _classes(argument: str, values: Any) -> np.ndarray:
    """Class numbers (N,) of class numbers or rows."""
    array = _array(argument, values)
    if array.ndim == 2 and array.shape[1] > 1:
        array = np.argmax(array, axis=1)
    whole = array.ndim == 1 and np.issubdtype(array.dtype, np.integer)
    if not whole or (array.size and not 0 <= array.min() <= array.max() < 2**31):
        got = f"{argument} has shape {array.shape} and dtype {array.dtype}"
        cure = "of one output p, take (p[:, 0] > 0.5).astype(int)"
        raise InputError(got, "class numbers (N,) from 0 or rows (N, C) of at least two columns", cure)
    return array


def confusion_matrix(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """(C, C) int64: row t, column p counts the examples of class t that were taken for p.

    ``classes`` is C; None: the largest class number that occurs, plus 1.
    Raises InputError: shapes that do not fit, or a class number of C or more.

    >>> confusion_matrix([0, 0, 1], [0, 1, 1])
    array([[1, 1],
           [0, 1]])
    """
    true, found = _classes("labels", labels), _classes("predictions", predictions)
    if true.shape != found.shape:
        raise InputError(f"labels are {true.shape[0]} and predictions {found.shape[0]}, expected as many")
    highest = int(max(true.max(initial=-1), found.max(initial=-1)))
    n = highest + 1 if classes is None else positive_integer("classes", classes)
    require(highest < n, "classes", n, f"more than the class number {highest} that occurs")
    return np.bincount(true * n + found, minlength=n * n).reshape(n, n)


def precision(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """(C,): of the examples taken for a class, the share that is of it; 0 where none was taken for it.
    Its mean is scikit-learn's average="macro".

    >>> precision([0, 0, 1], [0, 1, 1])
    array([1. , 0.5])
    """
    counts = confusion_matrix(labels, predictions, classes)
    return np.asarray(counts.diagonal() / np.maximum(counts.sum(axis=0), 1))


def recall(labels: Any, predictions: Any, classes: int | None = None) -> np.ndarray:
    """(C,): of the examples of a class, the share that was found; 0 where there are none.

    >>> recall([0, 0, 1], [0, 1, 1])
    array([0.5, 1. ])
    """
    counts = confusion_matrix(labels, predictions, classes)
    return np.asarray(counts.diagonal() / np.maximum(counts.sum(axis=1), 1))


def top_k_accuracy(labels: Any, scores: Any, k: int = 5) -> float:
    """The share of examples for which fewer than k classes have a higher score than the right one.

    ``scores`` are (N, C). Raises InputError: shapes that do not fit, or k below 1.

    >>> top_k_accuracy([0, 1, 2], [[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.5, 0.3, 0.2]], k=2)
    0.6666666666666666
    """
    k = positive_integer("k", k)
    true, rows = _classes("labels", labels), _array("scores", scores)
    if rows.ndim != 2 or rows.shape[0] != true.shape[0] or true.max(initial=-1) >= rows.shape[1]:
        got = f"scores have shape {rows.shape}"
        raise InputError(got, f"({true.shape[0]}, C) with a column for each label")
    higher = np.sum(rows > np.take_along_axis(rows, true[:, None], axis=1), axis=1)
    return float(np.mean(higher < k)) if len(true) else 0.0
