"""Batches from an iterable, for examples that are not arrays or do not fit into memory."""

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain, islice
from operator import length_hint
from typing import Any

from backends import InputError
from backends.backend import RunUpdates
from dnn.inputs.arrays import dtype_name
from dnn.inputs.batches import IndexedBatches, as_batches, in_order
from dnn.inputs.examples import ClassWeight, Examples
from dnn.network import Network
from dnn.random import shuffled_order
from dnn.settings.checks import positive_integer, require
from dnn.training.runners import make_step
from dnn.training.step import Cut, TrainingStep
from dnn.training.totals import Totals

MAX_STEPS = 8  # updates for different batches that are kept; each has arrays of its batch


class Stream:
    """The batches of an epoch from an iterable; same attributes as ``dnn.training.loop.Batches`` for arrays.

    Args:
        network: compiled.
        source: yields (x, y) or (x, y, weight) of any number of examples. Each epoch iterates over it again;
            an iterator continues instead. Or a data set with ``__len__`` and ``__getitem__``.
        batch_size, shuffle: of a data set, as in ``Sequential.fit``.
        steps: batches per epoch; None: the length of the source.
        class_weight: as in ``Sequential.fit``.
        cut: as in ``Batches``.
    Raises InputError: steps exceeds the length of the source, or is None and the source has no length.
    """

    data_fingerprint = "batches of an iterable"
    batch_size: int | None = None
    shuffle = False

    def __init__(
        self, network: Network, source: Any, batch_size: int, shuffle: bool, steps: int | None,
        class_weight: ClassWeight, cut: Cut,
    ) -> None:  # fmt: skip
        require(not isinstance(class_weight, str), "class_weight", class_weight, "a dict: x comes in batches")
        order = partial(shuffled_order, network.backend, network.seed) if shuffle else in_order
        source = as_batches(source, network.input_shape, batch_size, order)
        if isinstance(source, IndexedBatches):
            self.batch_size = source.batch_size
            self.shuffle = shuffle
        self.network = network
        self.source = source
        self.cut = cut
        self.class_weight = class_weight
        length = length_hint(source, -1)
        known = steps is not None or length >= 0
        require(known, "steps_per_epoch", steps, "how many batches of x, which has no length")
        steps = positive_integer("steps_per_epoch", length if steps is None else steps)
        require(length < 0 or steps <= length, "steps_per_epoch", steps, f"at most the {length} batches of x")
        self.updates = self.done = self.steps = steps
        self.examples_done = self.epoch = 0
        self._items: Iterator[Any] = iter(source)
        first = [*islice(self._items, 1)]  # its targets determine the metrics
        self._begun: Iterator[Any] | None = chain(first, self._items)
        check = network.input_pipeline.check_batch
        classes = all(check(item, 1, class_weight).has_classes for item in first)
        if isinstance(class_weight, Mapping):
            self.data_fingerprint += f", class_weight {sorted(class_weight.items())}"
        self.totals = Totals(network, weighted=True, classes=classes)
        # (step, run) by size, form and dtype of a batch: the last MAX_STEPS that were used
        self._runs: dict[Any, tuple[TrainingStep, RunUpdates]] = {}

    def begin(self, epoch: int, done: int = 0) -> None:
        """Begin the epoch and skip its first ``done`` batches; if done > 0, ``totals`` holds their sums."""
        if isinstance(self.source, IndexedBatches):
            self.source.epoch = epoch
            self._begun = None  # it was begun in the order of the first epoch
        self._items = self._begun or iter(self.source)
        self._begun = None
        self.epoch = epoch
        self.done = 0
        self.examples_done = 0
        if not done:
            self.totals.clear()
        for _ in range(done):
            self._next_batch()

    def run(self, n: int) -> None:
        """Make the next n updates of the epoch, or fewer at its end."""
        for _ in range(min(n, self.updates - self.done)):
            batch = self._next_batch()
            key = batch.size, batch.y.ndim, type(batch.x), dtype_name(batch.x)
            if key not in self._runs:
                backend = self.network.backend
                order = backend.view(backend.indices(0, batch.size), (1, -1))
                made = make_step(self.network, batch, order, self.totals, self.cut)
                self._runs[key] = made, backend.capture(made.learn, forms=self.network.update_forms)
                for old in [*self._runs][:-MAX_STEPS]:
                    del self._runs[old]
            self._runs[key] = step, learn = self._runs.pop(key)  # the last one used
            step.x, step.y, step.weights = batch
            step.seek(0)
            step.pick()
            learn(1)

    def _next_batch(self) -> Examples:
        """Return the next batch and count it as done. Raises InputError: the source has ended."""
        item = next(self._items, None)
        if item is None:
            got = f"x ended after {self.done} batches of epoch {self.epoch}"
            again = "use an iterable that starts again, such as a list or a DataLoader"
            raise InputError(got, f"{self.updates} in each", f"{again}, or fewer steps_per_epoch")
        batch = self.network.input_pipeline.check_batch(item, self.done + 1, self.class_weight)
        self.done += 1
        self.examples_done += batch.size
        return batch
