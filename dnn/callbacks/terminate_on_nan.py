"""Numbers that go wrong: NaN or infinity in the loss ends a training with the layer and the update named."""

from __future__ import annotations

from math import isfinite

import numpy as np

from backends import InputError
from dnn.network import Network
from dnn.training.callback import Callback, Progress


class DivergedError(InputError):
    """The loss is NaN or infinite."""


def broken_layers(model: Network) -> list[str]:
    """Names of the parameters, in the layers' order, that hold NaN or infinity."""
    values = model.parameters.to_host()
    return [name for name, array in values.items() if not np.all(np.isfinite(array))]


class TerminateOnNaN(Callback):
    """Looks at the sum of losses where it is read anyway: every so many updates."""

    every = 100

    def __init__(self) -> None:
        self._finite = (1, 0)  # epoch and update of the last look that found numbers

    def on_progress(self, progress: Progress) -> None:
        loss, _ = progress.read()
        if isfinite(loss):
            self._finite = (progress.epoch, progress.updates)
            return
        broken = broken_layers(self.model)
        where = f"first in {broken[0]}" if broken else "in the loss alone"
        epoch, update = self._finite
        raise DivergedError(
            f"training diverged: the loss is {loss} after update {progress.updates} of epoch "
            f"{progress.epoch} (it was finite at update {update} of epoch {epoch}), NaN or infinity {where}; "
            f"use a smaller learning rate"
        )
