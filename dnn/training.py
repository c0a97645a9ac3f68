"""The training loop: an update that takes no arguments, run over the batches of each epoch.

Everything that varies between updates (the position in the epoch, the optimizer's counters, the loss so
far) is in arrays on the device. So an update reads nothing back, and a backend may record one and
replay it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import gcd
from typing import TYPE_CHECKING, Any

from backends import InputError
from dnn import callbacks as watching
from dnn import inputs
from dnn.callbacks import Callback, History, Progress
from dnn.example_weights import example_weights
from dnn.metrics import count_correct
from dnn.random import permutation, stream_key
from dnn.training_state import StateError, TrainingState, epochs_before, facts_of, fingerprint, restore
from dnn.training_state import take as take_state

if TYPE_CHECKING:
    from dnn.model import Sequential

Array = Any
Take = Callable[[int, int], TrainingState]


class Totals:
    """Sums over the epoch so far, on the device: losses, right predictions, weights if there are any."""

    def __init__(self, model: Sequential, weighted: bool = False) -> None:
        self.backend = model.backend
        self.sums = self.backend.zeros(3)
        self.loss, self.correct = self.sums[0:1], self.sums[1:2]
        self.weight: Array = self.sums[2:3] if weighted else None

    def clear(self) -> None:
        self.sums[...] = 0.0

    def read(self, examples: int) -> tuple[float, float]:
        """(mean loss, accuracy) over this many examples; waits for the device."""
        loss, correct, weight = (float(number) for number in self.backend.to_host(self.sums))
        whole = float(examples) if self.weight is None else weight
        return loss / whole if whole else 0.0, correct / examples


class TrainingStep:
    """One update on the next batch: pick rows, forward, loss, backward, optimizer. No arguments.

    Args:
        model: compiled.
        x, y: all examples (N, ...) and targets, admitted by ``dnn.inputs``.
        order: (batches, B) int64, which rows make which batch; a view that the caller refills.
        totals: where the losses and right predictions are added.
        weights: of all examples (N,), or None.
    """

    def __init__(
        self, model: Sequential, x: Array, y: Array, order: Array, totals: Totals, weights: Array = None
    ) -> None:
        self.model, self.x, self.y, self.weights = model, x, y, weights
        self.order, self.totals = order, totals
        backend = model.backend
        batch = order.shape[1]
        model.reserve(batch, training=True)
        self.position = backend.zeros(1, dtype=backend.xp.int64)
        self.index = backend.zeros((1, batch), dtype=backend.xp.int64)
        self.batch_x = backend.zeros((batch, *x.shape[1:]))
        self.batch_y = backend.zeros((batch, *y.shape[1:]), dtype=y.dtype)
        self.batch_weights = None if weights is None else backend.zeros(batch)
        assert model.loss is not None
        self._boundary = model.loss.boundary
        self._gather = backend.kernel("gather_rows")
        self._scale = inputs.scale_of(x)
        self._kind = "integer" if y.ndim == 1 else "dense"

    def seek(self, batch: int) -> None:
        """Go on with this batch of ``order``."""
        self.position[...] = batch

    def __call__(self) -> None:
        xp, model, totals = self.model.backend.xp, self.model, self.totals
        self._gather(self.order, self.position, self.index, 1.0)
        index = self.index[0, ...]
        self._gather(self.x, index, self.batch_x, self._scale)
        self._gather(self.y, index, self.batch_y, 1.0)
        weights = self.batch_weights
        if weights is not None:
            self._gather(self.weights, index, weights, 1.0)
            totals.weight += xp.sum(weights)
        outputs, losses = model.loss_and_gradients(self.batch_x, self.batch_y, self._kind, weights)
        totals.loss += xp.sum(losses)
        if model.metrics:
            totals.correct += count_correct(model.backend, outputs, self.batch_y, self._boundary)
        if model.penalty is not None:
            model.penalty.add_gradients()
        model.optimizer_state.step()
        self.position += 1


class Epoch:
    """All batches of one pass over the data, in the order that the model's seed and the epoch give."""

    def __init__(
        self,
        model: Sequential,
        x: Array,
        y: Array,
        batch_size: int,
        shuffle: bool,
        weights: Array | None = None,
    ) -> None:
        backend = model.backend
        self.model, self.n, self.shuffle = model, int(x.shape[0]), shuffle
        self.batch_size = batch_size
        self.full, self.rest = divmod(self.n, batch_size)
        self.updates = self.full + (1 if self.rest else 0)
        self.totals = Totals(model, weights is not None)
        self._key = stream_key(model.seed, "shuffle")
        self._order = backend.xp.arange(self.n, dtype=backend.xp.int64, device=backend.device)
        cut = self.full * batch_size
        self._parts = []  # (step, run, how many updates)
        for part, size in ((self._order[:cut], batch_size), (self._order[cut:], self.rest)):
            if part.shape[0]:
                order = backend.view(part, (-1, size))
                step = TrainingStep(model, x, y, order, self.totals, weights)
                self._parts.append((step, backend.capture(step), order.shape[0]))

    def run(
        self, epoch: int, epochs: int, callbacks: Sequence[Callback], take: Take, done: int = 0
    ) -> tuple[float, float]:
        """Train on every batch once; returns (mean loss, accuracy) over the epoch.

        Args:
            take: (epoch, updates) -> the training's state at that point, which is now.
            done: updates of this epoch that were done before, whose sums are in ``totals``.
        """
        if self.shuffle:
            self._order[...] = permutation(self.model.backend, self._key, epoch, self.n)
        if not done:
            self.totals.clear()
        watchers = [c for c in callbacks if c.every is not None]
        pace = gcd(*(c.every for c in watchers if c.every is not None)) or self.updates
        for (step, run, count), before in zip(self._parts, (0, self.full), strict=False):
            position = max(0, done - before)
            if position >= count:
                continue
            step.seek(position)
            while position < count:
                now = min(pace - done % pace, count - position)
                run(now)
                position, done = position + now, done + now
                progress = self._progress(epoch, epochs, done, take)
                for watcher in watchers:
                    if done % (watcher.every or 1) == 0 or done == self.updates:
                        watcher.on_progress(progress)
        return self.totals.read(self.n)

    def _progress(self, epoch: int, epochs: int, done: int, take: Take) -> Progress:
        examples = min(done * self.batch_size, self.n)
        return Progress(
            epoch,
            epochs,
            done,
            self.updates,
            examples,
            lambda: self.totals.read(examples),
            lambda: take(epoch, done),
        )


def _held_out(model: Sequential, given: Any) -> tuple[Array, Array, Array | None] | None:
    """validation_data as (x, y, weights) on the device."""
    if given is None:
        return None
    x, y, weights = inputs.validation_triple(model.backend, given, model.input_shape, model.outputs)
    assert model.loss is not None
    model.loss.check_targets(model.backend, "validation_data[1]", y)
    return x, y, example_weights(model.backend, y, weights, None, model.outputs)


def _measures(model: Sequential, validated: bool) -> list[str]:
    """Names of an epoch's numbers."""
    names = ["loss", "accuracy"] if model.metrics else ["loss"]
    return [*names, "seconds", *([f"val_{name}" for name in names] if validated else [])]


def train(
    model: Sequential,
    x: Any,
    y: Any,
    *,
    batch_size: int,
    epochs: int,
    validation_split: float,
    validation_data: tuple[Any, ...] | None,
    callbacks: Sequence[Callback],
    shuffle: bool,
    class_weight: Mapping[int, float] | None,
    sample_weight: Any,
    resume: TrainingState | None = None,
) -> History:
    """What ``Sequential.fit`` does; see there."""
    epochs = inputs.positive_integer("epochs", epochs)
    backend, loss = model.backend, model.loss
    assert loss is not None
    x, y = inputs.training_data(backend, x, y, batch_size, model.input_shape, model.outputs)
    loss.check_targets(backend, "y", y)
    held = _held_out(model, validation_data)
    if sample_weight is not None:
        sample_weight = example_weights(backend, y, sample_weight, None, model.outputs)
    if validation_split != 0.0:
        if held is not None:
            raise InputError("validation_split and validation_data are both given, expected one of them")
        cut = inputs.cut_for_validation(int(x.shape[0]), validation_split, batch_size)
        kept, rest = (None, None) if sample_weight is None else (sample_weight[:cut], sample_weight[cut:])
        held = x[cut:, ...], y[cut:, ...], example_weights(backend, y[cut:, ...], rest, None, model.outputs)
        x, y, sample_weight = x[:cut, ...], y[:cut, ...], kept
    weights = example_weights(backend, y, sample_weight, class_weight, model.outputs)
    measures = _measures(model, held is not None)
    history = History()
    watchers = (history, *callbacks)
    plan = Epoch(model, x, y, batch_size, shuffle, weights)
    # Reading all of the data for its fingerprint takes a while: only where a state is really taken.
    read = [x, y] if weights is None else [x, y, weights]
    facts = cache(lambda: facts_of(model, fingerprint(backend, *read), batch_size, shuffle))
    first, last, done = model.epochs_done + 1, model.epochs_done + epochs, 0
    if resume is not None:
        if resume.updates > plan.updates:
            raise StateError(
                f"the training state is at update {resume.updates}, expected at most {plan.updates} in "
                f"an epoch"
            )
        before = epochs_before(resume, measures)
        restore(model, resume, plan.totals.sums, facts())
        first, done = resume.epoch, resume.updates

    def take(epoch: int, updates: int) -> TrainingState:
        held_now = watching.held_arrays(watchers)
        return take_state(model, epoch, updates, plan.totals.sums, facts(), history.history, held_now)

    model.stop_training = False
    for watcher in watchers:
        watcher.set_model(model)
        watcher.on_train_begin(first, last, plan.updates)
    try:
        if resume is not None:
            watching.resume(watchers, before, resume.arrays)
        for epoch in range(first, last + 1):
            if model.stop_training:
                break
            start = time.perf_counter()
            mean, accuracy = plan.run(epoch, last, watchers, take, done if epoch == first else 0)
            numbers = {"loss": mean, "accuracy": accuracy, "seconds": time.perf_counter() - start}
            model.epochs_done = epoch
            if held is not None:
                found = model.evaluate(held[0], held[1], sample_weight=held[2])
                numbers |= {"val_loss": found.loss, "val_accuracy": found.accuracy}
            logs = {name: numbers[name] for name in measures}
            for watcher in watchers:
                watcher.on_epoch_end(epoch, logs)
            for watcher in watchers:
                watcher.on_epoch_saved(lambda epoch=epoch: take(epoch + 1, 0))  # type: ignore[misc]
    finally:
        for watcher in watchers:
            watcher.on_train_end()
    return history
