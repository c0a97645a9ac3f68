"""What may watch a training: a callback is told when something happens, and History keeps the epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dnn.model import Sequential
    from dnn.training_state import TrainingState


@dataclass(frozen=True)
class Progress:
    """Where a training stands between two updates.

    Attributes:
        epoch: the running epoch, from 1; epochs: the last one of this fit.
        updates: updates of this epoch so far, of updates_per_epoch.
        examples: examples of this epoch so far.
        read: fetches (mean loss, accuracy) of the epoch so far from the device. It waits for the
            device, so call it a few times a second at most.
        take: copies the whole training from the device, to go on from here later.
    """

    epoch: int
    epochs: int
    updates: int
    updates_per_epoch: int
    examples: int
    read: Callable[[], tuple[float, float]]
    take: Callable[[], TrainingState]


class Callback:
    """Base: does nothing.

    Attributes:
        every: updates between two calls of ``on_progress``; None: it is not called, and the epoch
            runs without a pause.
        model: the model that ``fit`` trains; ``model.stop_training = True`` ends it after the epoch. None:
            in the fit of a torch twin.
    """

    every: int | None = None
    model: Sequential | None = None

    def set_model(self, model: Sequential) -> None:
        """Before everything else: the model that is trained."""
        self.model = model

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        """Before the first update of a fit: epochs first_epoch .. epochs will run."""

    def on_progress(self, progress: Progress) -> None:
        """Every ``every`` updates and at the epoch's end."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """After the epoch and its validation; logs holds loss, accuracy, val_loss, ..., seconds."""

    def on_epoch_saved(self, take: Callable[[], TrainingState]) -> None:
        """After on_epoch_end of all callbacks: ``take()`` copies the training as it is between two epochs."""

    def on_train_end(self) -> None:
        """After the last epoch, also when training is interrupted."""


@dataclass
class History(Callback):
    """The epochs' numbers, as ``fit`` returns them.

    Attributes:
        epoch: epoch numbers from 1, over the model's life.
        history: name ("loss", "accuracy", "val_loss", ...) -> a number an epoch.
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
