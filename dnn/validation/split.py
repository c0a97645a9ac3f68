"""The examples that are held out of data sorted by class: some of each class, not the last classes."""

import numpy as np


def order_by_share(y: np.ndarray, most_changes: int) -> np.ndarray | None:
    """Return an order (N,) in which any first and last part contain all classes in equal shares.

    The examples of a class stay in their order. Equal rows of targets are a class.

    Args:
        y: (N,) class numbers, or (N, C) targets.
        most_changes: number of times that a class follows another one in sorted targets.
    Returns None if y is not sorted by class: a class begins twice, or all examples are of one class, or each
    of another one.

    >>> order_by_share(np.array([7, 7, 7, 7, 3, 3]), 2)
    array([0, 4, 1, 2, 5, 3])
    """
    n = len(y)
    rows = y.reshape(n, -1)
    changes = 1 + np.flatnonzero(np.any(rows[1:] != rows[:-1], axis=1))
    starts = np.append(0, changes)
    if not 0 < len(changes) <= most_changes or len(starts) == n:
        return None
    if len(np.unique(rows[starts], axis=0)) < len(starts):
        return None
    sizes = np.diff(starts, append=n)
    numbers = np.arange(n) - np.repeat(starts, sizes)  # of an example in its class
    return np.argsort((numbers + 0.5) / np.repeat(sizes, sizes), kind="stable")
