"""Callback: the base class, with a method for each event of a training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dnn.keras_names import ChecksKeywords, is_ours, note
from dnn.network import Network
from dnn.settings.base import Settings, settings_repr
from dnn.settings.checks import require_instances, require_same_call
from dnn.training.history import History
from dnn.training.state import CALLBACK_PREFIX, TrainingState
from dnn.typing import HostArrays, Logs

TakeState = Callable[[], TrainingState]  # copies the training state from the device


@dataclass(frozen=True)
class Progress:
    """Position and numbers of a training between two updates."""

    epoch: int  # the current one, from 1
    epochs: int  # the last one of this fit
    updates: int  # of this epoch so far
    updates_per_epoch: int
    examples: int  # of this epoch so far
    # Returns the values of ``names`` over the epoch so far. It waits for the device, so call it a few times
    # a second at most.
    read: Callable[[], tuple[float, ...]]
    take_state: TakeState
    names: tuple[str, ...]  # "loss", then the metrics


class Callback(ChecksKeywords):
    """Base of callbacks; its methods do nothing."""

    explained_as = "callback"
    # Updates between two calls of ``on_progress``; None: no calls, and the epoch runs without a pause.
    every: int | None = None
    first_worker_only: bool = False  # whether only the first worker calls it, as for one that writes files
    model: Network  # the model in training; ``model.stop_training = True`` ends fit after the epoch

    __repr__ = settings_repr

    def set_model(self, model: Network) -> None:
        """Store the model; called before everything else."""
        self.model = model

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        """Called before the first update of a fit, which trains the epochs first_epoch to epochs."""

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        """Restore this callback's state; called after on_train_begin if fit resumes from a training state.

        Args:
            history: epochs before the resume.
            arrays: as ``state_arrays`` returned them when the state was saved.
        """

    def state_arrays(self) -> HostArrays:
        """Return named host arrays to save in each training state, if ``on_resume`` needs any."""
        return {}

    def on_train_ready(self, read_facts: Callable[[], dict[str, Any]]) -> None:
        """Called when all callbacks have begun; ``read_facts()`` reads all data for a state's facts."""

    def on_epoch_begin(self, epoch: int) -> None:
        """Called before the first update that this fit makes in the epoch."""

    def on_progress(self, progress: Progress) -> None:
        """Called after every ``every`` updates and after the last update of an epoch."""

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Called after the epoch and its validation.

        Args:
            logs: loss, accuracy, val_loss, ..., seconds. A callback may add numbers; later callbacks see
                them, and the History stores them.
        """

    def on_epoch_saved(self, take_state: TakeState) -> None:
        """Called after on_epoch_end of all callbacks; ``take_state()`` copies the training as it is now."""

    def on_train_end(self) -> None:
        """Called after the last epoch, also if training or another callback fails."""


class CheckedCallback(Settings, Callback):
    """Base of callbacks that declare their settings as fields with checks, as layers do."""

    by_value = False

    def require_settable(self, name: str, value: Any) -> None:
        """Accept every attribute: a training changes them."""


def require_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise InputError unless these are callbacks whose methods are called, with the arguments they get."""
    require_instances("callbacks", callbacks, Callback)
    for callback in callbacks:
        if not is_ours(type(callback)):
            note("callback.epoch")
        for name, method in vars(Callback).items():
            if name.startswith("on_"):
                require_same_call(callback, name, method)


def callbacks_by_prefix(callbacks: Sequence[Callback]) -> dict[str, Callback]:
    """Return the callbacks by the prefix of their arrays in a training state: class name and its count."""
    kinds = [type(callback).__name__ for callback in callbacks]
    return {f"{CALLBACK_PREFIX}{kind} {kinds[:i].count(kind)} ": callbacks[i] for i, kind in enumerate(kinds)}
