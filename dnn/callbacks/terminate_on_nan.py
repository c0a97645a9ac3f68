"""TerminateOnNaN: end training at NaN or infinity, with an error that names the layer and the update."""

from math import isfinite

import numpy as np

from backends import InputError
from dnn.training.callback import Callback, Progress


class DivergedError(InputError):
    """The loss, or a weight, is NaN or infinite."""


class TerminateOnNaN(Callback):
    """Check the sum of losses every ``every`` updates, and losses and weights after each epoch."""

    every = 100
    _finite: tuple[int, int] | None = None  # update and epoch of the last check with finite numbers

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._finite = (0, first_epoch) if self.model.parameters.is_finite else None

    def on_progress(self, progress: Progress) -> None:
        loss = progress.read()[0]
        if not isfinite(loss):
            self._raise(f"the loss is {loss} after update {progress.updates} of epoch {progress.epoch}")
        self._finite = progress.updates, progress.epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Check weights and validation loss too: no loss depends on the weights of the last update yet."""
        wrong = [name for name in ("loss", "val_loss") if not isfinite(logs.get(name, 0.0))]
        if wrong or not self.model.parameters.is_finite:
            what = f"{wrong[0]} is {logs[wrong[0]]}" if wrong else "weights are not finite"
            self._raise(f"{what} after epoch {epoch}")

    def _raise(self, what: str) -> None:
        values = self.model.parameters.to_host()  # in the layers' order
        broken = [name for name, array in values.items() if not np.all(np.isfinite(array))]
        where = f"first in {broken[0]}" if broken else "in the loss alone"
        got = f"training diverged: {what}"
        if self._finite is not None:
            update, epoch = self._finite
            got += f" (it was finite at update {update} of epoch {epoch})"
        raise DivergedError(f"{got}, NaN or infinity {where}", cure="use a smaller learning rate")
