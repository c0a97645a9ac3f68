"""What may watch a training: a callback is told when something happens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import InputError
from dnn.network import Network
from dnn.training.history import History
from dnn.training.state import CALLBACK_PREFIX, TrainingState
from dnn.validation.objects import settings_repr
from dnn.validation.settings import require_instances


@dataclass(frozen=True)
class Progress:
    """Where a training stands between two updates."""

    epoch: int  # the running one, from 1
    epochs: int  # the last one of this fit
    updates: int  # of this epoch so far
    updates_per_epoch: int
    examples: int  # of this epoch so far
    # Fetches the numbers of ``names``, the mean loss first, of the epoch so far from the device. It waits for
    # the device, so call it a few times a second at most.
    read: Callable[[], tuple[float, ...]]
    take_state: Callable[
        [], TrainingState
    ]  # copies the whole training from the device, to go on from here later
    names: tuple[str, ...] = ("loss", "accuracy")  # "loss", and those of what is measured


class Callback:
    """Base: does nothing."""

    # Updates between two calls of ``on_progress``; None: it is not called, and the epoch has no pause.
    every: int | None = None
    first_worker_only: bool = False  # of several workers only the first has it, as of what writes files
    model: Network  # that ``fit`` trains; ``model.stop_training = True`` ends it after the epoch

    __repr__ = settings_repr

    def set_model(self, model: Network) -> None:
        """Before everything else: the model that is trained."""
        self.model = model

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        """Before the first update of a fit: epochs first_epoch .. epochs will run."""

    def on_resume(self, history: History, held: dict[str, np.ndarray]) -> None:
        """After on_train_begin of a fit that goes on from a training state: become what the one that watched
        the epochs in ``history`` was; ``held`` is what its ``held_arrays`` gave.
        """

    def held_arrays(self) -> dict[str, np.ndarray]:
        """What ``on_resume`` needs besides the history: named host arrays, saved in each training state."""
        return {}

    def on_epoch_begin(self, epoch: int) -> None:
        """Before the epoch's first update of this fit."""

    def on_progress(self, progress: Progress) -> None:
        """Every ``every`` updates and at the epoch's end."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After the epoch and its validation; logs holds loss, accuracy, val_loss, ..., seconds. What a
        callback adds (numbers) is seen by those after it, and is in the History.
        """

    def on_epoch_saved(self, take_state: Callable[[], TrainingState]) -> None:
        """Called after on_epoch_end of all callbacks; ``take_state()`` copies the training as it is now."""

    def on_train_end(self) -> None:
        """After the last epoch, also when training is interrupted."""


# Keras's hooks, by how they begin, that nothing here calls.
UNSUPPORTED_HOOK_PREFIXES = ("on_batch_", "on_train_batch_", "on_test_", "on_predict_")


def require_callbacks(callbacks: Sequence[Any]) -> None:
    """Refuse what is no list of callbacks, or one with a hook that is never called."""
    require_instances("callbacks", callbacks, Callback)
    for callback in callbacks:
        for name in dir(callback):
            if name.startswith(UNSUPPORTED_HOOK_PREFIXES):
                ours = "on_progress (with every = 1 after each update), on_epoch_begin or on_epoch_end"
                got = f"callback {type(callback).__name__} has {name}, which is never called"
                raise InputError(f"{got}, expected {ours}")


def callbacks_by_prefix(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """The callbacks by how the names of what they hold begin: the same for the same ones in one order."""
    kinds = [type(callback).__name__ for callback in callbacks]
    numbers = (kinds[:i].count(kind) for i, kind in enumerate(kinds))
    return {
        f"{CALLBACK_PREFIX}{kind} {n} ": each for kind, n, each in zip(kinds, numbers, callbacks, strict=True)
    }
