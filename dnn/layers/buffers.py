"""Buffers: arrays that are allocated once per thread and reused by every batch.

Memory is allocated for the largest batch only, once for training and once for inference; smaller batches use
views of it. So a server may call one model from many threads, and memory does not grow with the number of
batch sizes.
"""

import threading
from collections.abc import Callable
from types import SimpleNamespace

from backends import Array, InputError

Arrays = dict[str, Array | None]
MAX_CACHED_SIZES = 8  # number of batch sizes with cached views, for training and for inference each


class Buffers(threading.local):
    """Named arrays with the batch as first axis."""

    def __init__(self) -> None:
        # training -> the largest batch size with memory, and its arrays
        self._largest: dict[bool, tuple[int, Arrays]] = dict.fromkeys((True, False), (0, {}))
        self.views: dict[int, SimpleNamespace] = {}  # batch size -> the arrays

    def reserve(self, batch_size: int, training: bool, make: Callable[[int, bool], Arrays]) -> None:
        """Allocate the arrays for batches of this size; those of training also serve inference.

        ``make`` returns the arrays, given batch size and training. It is not stored: it may be a method of
        the owner, and a cycle of references would keep the memory until Python's garbage collector runs.
        """
        if self.fits(batch_size, training):
            # An interrupted call may have left another order; the size in use is last in every layer.
            self.views[batch_size] = self.views.pop(batch_size)
            return
        # Use the memory of training if it is large enough.
        for_training = training or batch_size <= self._largest[True][0]
        if batch_size > self._largest[for_training][0]:
            self._largest[for_training] = batch_size, make(batch_size, for_training)
            # Views of the smaller memory would keep it; their sizes are reserved again when they are used.
            self.views = {n: v for n, v in self.views.items() if v.training != for_training}
        arrays = self._largest[for_training][1].items()
        views = {name: array if array is None else array[:batch_size, ...] for name, array in arrays}
        self.views.pop(batch_size, None)  # the new one is the last
        self.views[batch_size] = SimpleNamespace(training=training, **views)
        for n in [n for n, v in self.views.items() if v.training == training][:-MAX_CACHED_SIZES]:
            del self.views[n]

    def fits(self, batch_size: int, training: bool) -> bool:
        """Return whether the arrays for batches of this size are allocated in this thread."""
        view = self.views.get(batch_size)
        return view is not None and (view.training or not training)

    def __call__(self, batch: Array) -> SimpleNamespace:
        """Return the arrays for this batch. Raises InputError as ``buffers[size]``."""
        return self[batch.shape[0]]

    def __getitem__(self, batch_size: int) -> SimpleNamespace:
        """Return the arrays for a batch of this size. Raises InputError: not reserved in this thread."""
        try:
            return self.views[batch_size]
        except KeyError:
            expected = f"an earlier call of model.reserve({batch_size}, training=...) in the same thread"
            got = f"no buffers are reserved for batches of {batch_size}"
            raise InputError(got, expected, "fit, evaluate and predict make it themselves") from None
