"""Data in batches: iterables such as a DataLoader, and data sets with ``__len__`` and ``__getitem__``."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

import numpy as np

from backends import InputError
from dnn.inputs.conversion import detach
from dnn.typing import Shape


def has_batches(x: Any, y: Any) -> bool:
    """Return whether x without targets y holds (x, y) itself: an iterable or a data set, not an array."""
    if y is not None or hasattr(detach("x", x), "shape"):
        return False
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def as_batches(
    x: Any, input_shape: Shape, batch_size: int, order: Callable[[int, int], np.ndarray]
) -> Iterable[Any]:
    """Return an iterable of batches: x itself, or ``IndexedBatches`` of a data set."""
    return x if hasattr(x, "__iter__") else IndexedBatches(x, input_shape, batch_size, order)


def in_order(epoch: int, n: int) -> np.ndarray:
    """Return the positions 0 to n - 1, for every epoch."""
    return np.arange(n)


def refuse_iterator(argument: str, source: Any, when: str = "") -> None:
    """Raise InputError: the batches end after one pass."""
    if isinstance(source, Iterator):
        expected = f"{when}an iterable that starts again, such as a list or a DataLoader"
        raise InputError(f"{argument} is an iterator", expected)


class IndexedBatches:
    """Batches of a data set that returns its entries by their number.

    Entries are batches, as of Keras's PyDataset, or examples, as of torch's Dataset. Examples have the input
    shape and are joined to batches.

    Args:
        source: the data set; its ``on_epoch_end``, if there is one, is called after each pass.
        input_shape: of one example.
        batch_size: of examples.
        order: function of the epoch and the number of entries that returns their order.
    Attributes:
        epoch: determines the order.
    Raises InputError: it is empty.
    """

    epoch = 1

    def __init__(
        self, source: Any, input_shape: Shape, batch_size: int,
        order: Callable[[int, int], np.ndarray],
    ) -> None:  # fmt: skip
        self.source = source
        self.order = order
        self.n = len(source)
        if not self.n:
            raise InputError("x is a data set without entries", "at least one")
        first = source[0]
        is_example = isinstance(first, (tuple, list)) and first and np.shape(first[0]) == input_shape
        self.joins = bool(is_example)
        self.batch_size = batch_size if is_example else 1  # entries per batch

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        order = self.order(self.epoch, self.n)
        for start in range(0, self.n, self.batch_size):
            stop = start + self.batch_size
            entries = [self.source[int(i)] for i in order[start:stop]]
            if stop >= self.n:  # before the last batch, since a training does not ask for a further one
                getattr(self.source, "on_epoch_end", lambda: None)()
            if self.joins:
                columns = zip(*entries, strict=True)  # arrays, tensors or numbers
                yield tuple(
                    np.stack([v.cpu() if hasattr(v, "cpu") else v for v in column]) for column in columns
                )
            else:
                yield entries[0]


class CheckedBatches:
    """Batches to evaluate, checked one after another.

    Args:
        check: function of (batch, number from 1) that returns ``Examples``.
        source: iterable of batches.
        argument: its name in messages.
    Attributes:
        has_classes: whether the targets of the first batch are class numbers.
    Raises InputError: no batches.
    """

    has_weights = True

    def __init__(self, check: Callable[[Any, int], Any], source: Iterable[Any], argument: str) -> None:
        self.check = check
        self.source = source
        items = iter(source)
        first = next(items, None)
        if first is None:
            raise InputError(f"{argument} has no batches", "at least one")
        self.has_classes = check(first, 1).has_classes
        if items is source:
            self.source = chain([first], items)

    def __iter__(self) -> Iterator[Any]:
        for number, item in enumerate(self.source, 1):
            yield self.check(item, number)
