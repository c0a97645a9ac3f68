"""The training loop: all batches of an epoch, all epochs of a fit, and the calls of callbacks."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from itertools import pairwise
from math import gcd, isfinite
from typing import Any

import numpy as np

from dnn.inputs.batches import CheckedBatches
from dnn.inputs.examples import VALIDATION_BATCH, Examples
from dnn.io.notices import warn
from dnn.network import Network
from dnn.parameters import copy_to_host
from dnn.random import permutation, stream_key
from dnn.settings.checks import positive_integer, require
from dnn.training.callback import Callback, Progress, callbacks_by_prefix
from dnn.training.evaluation import evaluate
from dnn.training.history import History, require_numbers
from dnn.training.runners import make_runner, make_step
from dnn.training.state import (
    MADE_WITH,
    TrainingState,
    backend_facts,
    change_rate,
    check_state,
    device_arrays,
    fingerprint,
    host_numbers,
    write_arrays,
)
from dnn.training.step import WHOLE, Cut
from dnn.training.stream import Stream
from dnn.training.totals import Totals


class Batches:
    """The batches of an epoch over examples in arrays, and their updates.

    Args:
        network: compiled.
        examples: N examples.
        batch_size: if N is not a multiple, the last batch is shorter; if N is smaller, there is one batch.
        shuffle: reorder the examples each epoch, by the model's seed and the epoch's number.
        steps: updates per epoch, if fewer than there are batches; None: all.
        cut: whether the batches are cut into blocks.

    Attributes:
        updates: number of updates of an epoch.
        done: number of updates made in the current epoch.
        totals: sums of the current epoch.
    Raises InputError: more steps than there are batches.
    """

    def __init__(
        self, network: Network, examples: Examples, batch_size: int, shuffle: bool = True,
        steps: int | None = None, cut: Cut = WHOLE,
    ) -> None:  # fmt: skip
        backend = network.backend
        self.network = network
        self.examples = examples
        self.cut = cut
        self.n = examples.size
        self.shuffle = shuffle
        self.batch_size = batch_size = min(batch_size, self.n)
        self._full, rest = divmod(self.n, batch_size)
        available = self._full + (1 if rest else 0)
        self.steps = steps
        self.updates = self.done = available if steps is None else positive_integer("steps_per_epoch", steps)
        require(self.updates <= available, "steps_per_epoch", steps, f"at most the {available} batches of x")
        self.totals = Totals(network, examples.has_weights, examples.has_classes)
        self._key = stream_key(network.seed, "shuffle")
        self._order = backend.indices(0, self.n)
        end = self._full * batch_size
        self._runs = []  # (step, run) for the full batches, then for the short one if there is one
        for rows, size in ((self._order[:end], batch_size), (self._order[end:], rest)):
            if rows.shape[0]:
                step = make_step(network, examples, backend.view(rows, (-1, size)), self.totals, cut)
                self._runs.append((step, make_runner(step)))

    @property
    def data_fingerprint(self) -> str:
        """Digest of all examples; reading them takes a while."""
        return fingerprint(self.network.backend, *self.examples)

    @property
    def examples_done(self) -> int:
        """Number of examples of the current epoch so far."""
        return min(self.done * self.batch_size, self.n)

    def begin(self, epoch: int, done: int = 0) -> None:
        """Begin an epoch after its first ``done`` updates; if done > 0, ``totals`` holds their sums."""
        if self.shuffle:
            self._order[...] = permutation(self.network.backend, self._key, epoch, self.n)
        if not done:
            self.totals.clear()
        self.done = done
        for (step, _), before in zip(self._runs, (0, self._full), strict=False):
            step.seek(max(0, done - before))

    def run(self, n: int) -> None:
        """Make the next n updates of the epoch, or fewer at its end."""
        end = min(self.done + n, self.updates)
        for (_, run), stop in zip(self._runs, (self._full, self.updates), strict=False):
            now = min(end, stop) - self.done
            if now > 0:
                run(now)
                self.done += now


class Training:
    """One call of fit.

    Args:
        network: compiled.
        batches: the updates of an epoch.
        validation: examples to evaluate after each epoch, or None.
        callbacks: called in this order.
    """

    def __init__(
        self, network: Network, batches: Batches | Stream, validation: Examples | CheckedBatches | None,
        callbacks: Sequence[Callback],
    ) -> None:  # fmt: skip
        self.network = network
        self.batches = batches
        self.validation = validation
        is_first = batches.cut.workers.is_first
        self.callbacks = tuple(c for c in callbacks if is_first or not c.first_worker_only)
        self.history = History()
        self._undo: Callable[[], None] | None = None  # of a resume that has made no update
        self._last_loss = 0.0  # of the last epoch, with that of the validation
        # The metrics depend on the form of the targets, which may differ between training and validation.
        names = () if validation is None else Totals(network, classes=validation.has_classes).names
        self._val_names = [f"val_{name}" for name in names]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Everything that determines the numbers of this training, as JSON values; this reads all data."""
        network = self.network
        b = self.batches
        validation = None if self.validation is None else Stream.data_fingerprint
        if isinstance(self.validation, Examples):
            validation = fingerprint(network.backend, *self.validation)
        made_with = backend_facts(network.backend)
        if "planned" in network.update_forms:
            made_with["updates"] = "planned"
        return {
            "model": network.config(), "optimizer": network.optimizer_state.optimizer.config(),
            "dtype": network.backend.dtype_name, "seed": network.seed,
            "penalty": network.penalty and [network.penalty.l1, network.penalty.l2],
            "validation": validation, "data": b.data_fingerprint,
            "batch_size": b.batch_size, "shuffle": b.shuffle,
            "steps_per_epoch": b.steps, "blocks": b.cut.blocks,
            "history": [*b.totals.names, *self._val_names], MADE_WITH: made_with,
        }  # fmt: skip

    def take_state(self, epoch: int, updates: int) -> TrainingState:
        """Copy the training state from the device, after ``updates`` updates of this epoch."""
        on_device = device_arrays(self.network, self.batches.totals.sums)
        arrays = copy_to_host(self.network.backend, on_device)
        past = {name: np.array(values) for name, values in self.history.history.items()}
        for prefix, callback in callbacks_by_prefix(self.callbacks).items():
            for name, value in callback.state_arrays().items():
                arrays[prefix + name] = host_numbers(prefix + name, value)
        return TrainingState(epoch, updates, dict(self.facts), past, arrays)

    def run(self, epochs: int, state: TrainingState | None) -> History:
        """Train; continue from ``state`` unless it is None.

        A resume that fails before its first update leaves the model as it was. Callbacks that have begun all
        end, in any case; the first error is then raised.
        Raises StateError: the state belongs to another training.
        """
        begun: list[Callback] = []
        errors: list[BaseException] = []
        try:
            self._train(epochs, state, begun)
        except BaseException as error:
            errors.append(error)
        for callback in begun:
            try:
                callback.on_train_end()
            except BaseException as error:
                errors.append(error)
        if not errors:
            return self.history
        if self._undo is not None:
            self._undo()
        for one, later in pairwise(errors):
            one.__context__ = one.__context__ or later
        try:
            raise errors[0]
        finally:
            errors.clear()  # else this frame and the tracebacks would keep each other

    def _train(self, epochs: int, state: TrainingState | None, begun: list[Callback]) -> None:
        """Begin all callbacks, which are added to ``begun``, and run the epochs."""
        network = self.network
        updates = self.batches.updates
        first = network.epochs_done + 1
        last = network.epochs_done + epochs
        done = 0
        sums = self.batches.totals.sums
        if state is not None:
            before = check_state(network, state, sums, self.facts, updates, epochs)
            arrays = copy_to_host(network.backend, device_arrays(network, sums))
            self._undo = partial(write_arrays, network, sums, arrays, network.epochs_done)
            write_arrays(network, sums, state.arrays, state.epoch - 1)
            change_rate(network, state, self.facts)
            first = state.epoch
            done = state.updates
            last = first - 1 - len(before.epoch) + epochs
        network.optimizer_state.require_room((last + 1 - first) * updates - done)
        start = partial(fingerprint, network.backend, *device_arrays(network, sums).values())
        # The device may differ, and each fact of the backend is named by itself.
        self.batches.cut.workers.agree(lambda: {
            **self.facts, "start": [first, done, start()], "end": last,
            **self.facts[MADE_WITH], MADE_WITH: None, "device": None,
        })  # fmt: skip
        network.stop_training = False
        for callback in self.callbacks:
            callback.set_model(network)
            callback.on_train_begin(first, last, updates)
            begun.append(callback)
        if state is not None:
            self.history = before
            for prefix, callback in callbacks_by_prefix(self.callbacks).items():
                arrays = {n.removeprefix(prefix): a for n, a in state.arrays.items() if n.startswith(prefix)}
                callback.on_resume(before, arrays)
        for callback in self.callbacks:
            callback.on_train_ready(lambda: self.facts)
        for epoch in range(first, last + 1):
            if network.stop_training:
                break
            self._run_epoch(epoch, last, done if epoch == first else 0)

    def _run_epoch(self, epoch: int, epochs: int, done: int) -> None:
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch)
        start = time.perf_counter()
        names = self.batches.totals.names
        logs = dict(zip(names, self._run_updates(epoch, epochs, done), strict=True))
        logs["seconds"] = time.perf_counter() - start
        self.network.epochs_done = epoch
        if self.validation is not None:
            found = evaluate(self.network, self.validation, VALIDATION_BATCH)
            logs |= dict(zip(self._val_names, found, strict=True))
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
            logs |= require_numbers(logs)
        self.history.add(epoch, logs)  # includes the numbers that callbacks added
        loss = logs["loss"] + logs.get("val_loss", 0.0)
        if not isfinite(loss) and isfinite(self._last_loss):  # TerminateOnNaN ends the training instead
            cure = "train a new model with a smaller learning rate"
            warn(f"the loss is {loss} after epoch {epoch}: the training diverged; {cure}")
        self._last_loss = loss
        for callback in self.callbacks:
            callback.on_epoch_saved(partial(self.take_state, epoch + 1, 0))

    def _run_updates(self, epoch: int, epochs: int, done: int) -> tuple[float, ...]:
        """Make the updates of an epoch and call ``on_progress`` between them; return (mean loss, metrics)."""
        batches = self.batches
        batches.begin(epoch, done)
        while batches.done < batches.updates:
            # A callback may change its ``every`` during training.
            callbacks = [
                (c, positive_integer("every", c.every)) for c in self.callbacks if c.every is not None
            ]
            pace = gcd(*(every for _, every in callbacks)) or batches.updates
            self._undo = None
            batches.run(pace - batches.done % pace)
            done = batches.done
            read = partial(batches.totals.read, batches.examples_done)
            progress = Progress(
                epoch, epochs, done, batches.updates, batches.examples_done, read,
                partial(self.take_state, epoch, done), batches.totals.names,
            )  # fmt: skip
            for callback, every in callbacks:
                if done % every == 0 or done == batches.updates:
                    callback.on_progress(progress)
        return batches.totals.read(batches.examples_done)
