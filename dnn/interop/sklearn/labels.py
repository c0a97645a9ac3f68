"""Conversion between labels and class indices, and class weights."""

from typing import Any

import numpy as np
from sklearn.utils._array_api import get_namespace, get_namespace_and_device, move_to
from sklearn.utils._encode import _encode
from sklearn.utils.class_weight import compute_class_weight

from backends import Array
from backends.errors import reraise, short_repr
from dnn.inputs.arrays import dtype_name
from dnn.interop.sklearn.arrays import move_beside


def holds_text(classes: Array) -> bool:
    """Return whether the classes are text or objects, which only NumPy supports."""
    return getattr(classes.dtype, "kind", None) in ("O", "U", "S")


def encode_labels(y: Array, classes: Array) -> Array:
    """Return the index of each label of y (n,) in the sorted classes (C,), as (n,) int64 in y's library.

    Raises InputError: a label is not in ``classes``.
    """
    xp, _ = get_namespace(y)
    if not holds_text(classes):
        classes = move_beside(y, classes)
        if dtype_name(y) == "bool":
            y = xp.astype(y, xp.int8)
        classes = xp.astype(classes, y.dtype)
    cure = "pass all labels as classes to partial_fit, or call fit without warm_start"
    with reraise(ValueError, "y has labels that are not in classes_", short_repr(classes), cure):
        return _encode(y, uniques=classes)


def decode_labels(numbers: Array, classes: Array) -> Array:
    """Return the labels of class indices (n,), in the library of ``numbers``, or in NumPy for text."""
    if holds_text(classes):
        return classes[move_beside(classes, numbers)]
    return get_namespace(numbers)[0].take(move_beside(numbers, classes), numbers)


def class_weights(
    class_weight: Any, numbers: Array, classes: Array, weights: Array | None, dtype: Any
) -> Array:
    """Return the class weight of each example times ``weights``, (n,) in the library of ``numbers``.

    Args:
        class_weight: label -> weight (default 1), or "balanced": the same total weight for each class.
        numbers: (n,) class indices. classes: (C,) labels.
        weights: (n,) sample weights; None: all 1.
    """
    xp, _, device = get_namespace_and_device(numbers)
    host = move_to(classes, xp=np, device="cpu")
    rows = xp.ones(numbers.shape[0], dtype=dtype, device=device) if weights is None else weights
    if class_weight == "balanced":
        counts = np.asarray([float(xp.sum(rows[numbers == i])) for i in range(len(host))])
        present = counts > 0
        table = counts.sum() / (present.sum() * np.where(present, counts, 1.0))
    else:
        table = compute_class_weight(class_weight, classes=host, y=host)
    return rows * xp.take(xp.asarray(table, dtype=dtype, device=device), numbers)
