"""ReduceLROnPlateau: a smaller learning rate when a number no longer improves."""

import numpy as np

from backends import InputError
from dnn.callbacks.monitor import Best
from dnn.optimizers.schedules import Schedule
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.validation.settings import natural_number, positive_integer, require_number


class ReduceLROnPlateau(Callback):
    """Multiplies the rate by ``factor`` after ``patience`` epochs without improvement; Keras's callback.

    The rate of each epoch is in the history as "learning_rate". It is part of a training's saved states, not
    of a model's file.

    Args:
        monitor, mode, min_delta: see ``Best``.
        factor: above 0 and below 1.
        patience: epochs, from 1.
        cooldown: epochs after a reduction that do not count.
        min_lr: the rate is not reduced below it.

    Raises InputError: in training, an optimizer with a schedule, which has its own rate for each update.
    """

    def __init__(
        self, monitor: str = "val_loss", factor: float = 0.1, patience: int = 10, mode: str = "auto",
        min_delta: float = 1e-4, cooldown: int = 0, min_lr: float = 0.0,
    ) -> None:  # fmt: skip
        self.best = Best(monitor, mode, min_delta)
        self.factor = require_number("factor", factor, 0.0, 1.0)
        self.patience = positive_integer("patience", patience)
        self.cooldown = natural_number("cooldown", cooldown)
        self.min_lr = require_number("min_lr", min_lr, 0.0)

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        if isinstance(self.model.optimizer.learning_rate, Schedule):
            got = "ReduceLROnPlateau is used with a schedule"
            raise InputError(got, "a learning rate that is a number, as in Adam(1e-3)")
        self.best.clear()
        self._wait = self._rest = 0

    def _stalls(self, logs: dict[str, float]) -> bool:
        """Whether the rate is to be reduced after this epoch."""
        resting, self._rest = self._rest > 0, max(0, self._rest - 1)
        self._wait = 0 if self.best.improves(logs) or resting else self._wait + 1
        if self._wait < self.patience:
            return False
        self._wait, self._rest = 0, self.cooldown
        return True

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        rate = self.model.optimizer_state.control[0:1]
        logs["learning_rate"] = now = float(self.model.backend.to_host(rate)[0])
        if self._stalls(logs) and now > self.min_lr:
            rate[...] = max(now * self.factor, self.min_lr)

    def on_resume(self, history: History, held: dict[str, np.ndarray]) -> None:
        for _, logs in history.rows():
            self._stalls(logs)
