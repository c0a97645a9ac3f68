"""LearningRateScheduler: set the learning rate before each epoch by a function."""

from collections.abc import Callable
from inspect import signature
from typing import Annotated

import numpy as np

from dnn.callbacks.monitor import require_constant_rate
from dnn.io.notices import print_line
from dnn.settings.checks import Natural, require_kind, require_number
from dnn.training.callback import CheckedCallback
from dnn.training.history import History
from dnn.typing import HostArrays, Logs


class LearningRateScheduler(CheckedCallback):
    """Set the learning rate before each epoch to ``schedule(epoch, rate)``; as Keras's LearningRateScheduler.

    The history contains the rate of each epoch as "learning_rate". A schedule of the optimizer, such as
    ``CosineDecay``, sets the rate of each update instead.

    Args:
        schedule: function of the epoch, from 0 as in Keras, and the current rate; or of the epoch alone. A
            second fit counts on, in Keras it begins with 0 again.
            Returns the new rate, at least 0.
        verbose: 1: print the rate of each epoch.
    Raises InputError: in training, another result of ``schedule``, or an optimizer with a schedule.
    """

    schedule: Annotated[Callable[..., float], lambda name, value: require_kind(name, value, Callable)]
    verbose: Natural = 0

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        require_constant_rate(self)
        self._last_epoch = 0  # for which the rate was set

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        self._last_epoch = int(arrays["epoch"][0]) if arrays else 0

    def state_arrays(self) -> HostArrays:
        return {"epoch": np.array([self._last_epoch])}

    def on_epoch_begin(self, epoch: int) -> None:
        if epoch == self._last_epoch:  # resumed within the epoch
            return
        optimizer_state = self.model.optimizer_state
        arguments = [epoch - 1, optimizer_state.rate]
        try:
            signature(self.schedule).bind(*arguments)
        except TypeError:  # a function of the epoch alone
            arguments.pop()
        except ValueError:  # it hides its signature
            pass
        rate = self.schedule(*arguments)
        optimizer_state.rate = rate = require_number(f"the rate of schedule({epoch - 1})", rate, 0.0)
        self._last_epoch = epoch
        if self.verbose:
            print_line(f"epoch {epoch}: learning rate {rate:g}")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        logs["learning_rate"] = self.model.optimizer_state.rate
