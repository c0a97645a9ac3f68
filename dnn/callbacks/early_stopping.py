"""EarlyStopping: stop when a number no longer improves."""

import numpy as np

from dnn.callbacks.monitor import Best
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import StateError
from dnn.validation.settings import natural_number, require_bool


class EarlyStopping(Callback):
    """Ends training when a number has not improved for some epochs; Keras's callback of that name.

    Args:
        monitor, min_delta, mode: see ``Best``.
        patience: epochs without improvement after which training ends; with 0 as with 1 the first.
        restore_best_weights: at the end, also of an interrupted training, the model gets the weights of
            the best epoch.

    Attributes:
        stopped_epoch: the epoch that was the last one; 0: training was not stopped.
        best_epoch: the epoch of the best value.
    """

    def __init__(
        self, monitor: str = "val_loss", min_delta: float = 0.0, patience: int = 0, mode: str = "auto",
        restore_best_weights: bool = False,
    ) -> None:  # fmt: skip
        self.patience = natural_number("patience", patience)
        self.best = Best(monitor, mode, min_delta)
        self.restore_best_weights = require_bool("restore_best_weights", restore_best_weights)

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self.best.clear()
        self.stopped_epoch = self.best_epoch = self._wait = 0
        self._weights: dict[str, np.ndarray] | None = None

    def _improves(self, epoch: int, logs: dict[str, float]) -> bool:
        if self.best.improves(logs):
            self.best_epoch, self._wait = epoch, 0
            return True
        self._wait += 1
        if self._wait >= self.patience:
            self.stopped_epoch, self.model.stop_training = epoch, True
        return False

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self._improves(epoch, logs) and self.restore_best_weights:
            self._weights = self.model.parameters.to_host()

    def held_arrays(self) -> dict[str, np.ndarray]:
        return self._weights or {}

    def on_resume(self, history: History, held: dict[str, np.ndarray]) -> None:
        for epoch, logs in history.rows():
            self._improves(epoch, logs)
        if self.restore_best_weights and self.best_epoch:
            if not held:
                raise StateError(
                    f"the training state holds no weights of the best epoch, {self.best_epoch}, for "
                    f"EarlyStopping to restore; resume with the callbacks that it was begun with"
                )
            self._weights = held

    def on_train_end(self) -> None:
        if self._weights is not None:
            self.model.parameters.load(self._weights)
