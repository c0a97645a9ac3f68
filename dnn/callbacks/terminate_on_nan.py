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

    def on_progress(self, progress: Progress) -> None:
        if not isfinite(progress.read()[0]):
            self._raise(f"update {progress.updates} of epoch {progress.epoch}")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        """Check weights and validation loss too: no loss depends on the weights of the last update yet."""
        loss = logs["loss"] + logs.get("val_loss", 0.0)
        if not isfinite(loss) or not self.model.parameters.is_finite:
            self._raise(f"epoch {epoch}")

    def _raise(self, last: str) -> None:
        values = self.model.parameters.to_host()  # in the layers' order
        broken = [name for name, array in values.items() if not np.all(np.isfinite(array))]
        where = f"first in {broken[0]}" if broken else "in the loss alone"
        got = f"training diverged: after {last} there is NaN or infinity, {where}"
        raise DivergedError(got, cure="use a smaller learning rate")
