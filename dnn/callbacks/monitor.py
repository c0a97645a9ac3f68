"""EarlyStopping, ReduceLROnPlateau and ModelCheckpoint: callbacks that monitor a number of each epoch."""

import os
from copy import copy
from pathlib import Path
from typing import Annotated

from backends.errors import InputError, reraise
from dnn.io.atomic_files import require_writable
from dnn.io.notices import print_line, warn
from dnn.io.safetensors import CheckpointError
from dnn.network import Network
from dnn.optimizers.schedules import Schedule
from dnn.settings.checks import (
    Count,
    Flag,
    Fraction,
    Natural,
    NotNegative,
    one_of,
    require_path,
    require_text,
)
from dnn.training.callback import Callback, CheckedCallback
from dnn.training.history import History
from dnn.training.state import StateError
from dnn.typing import HostArrays, Logs

LogName = Annotated[str, require_text]
Mode = Annotated[str, one_of(("auto", "min", "max"))]


class Best:
    """The best value so far of a number in the logs.

    Args:
        monitor: name in the logs, such as "loss", "val_loss", "accuracy" or "val_accuracy".
        mode: "min": smaller is better; "max": larger is better; "auto": as the metric declares by
            ``higher_is_better``; the loss is minimised.
        network: in training; it has the metrics.
        min_delta: only changes larger than this are improvements.
    Raises InputError: "auto" for a number whose direction is unknown; in training, a name that is not in the
    logs.
    """

    def __init__(self, monitor: str, mode: str, network: Network, min_delta: float = 0.0) -> None:
        self.monitor = monitor
        self.min_delta = min_delta
        large = mode == "max" or (mode == "auto" and _higher_is_better(monitor, network))
        self.sign = -1.0 if large else 1.0
        self.value = self.sign * float("inf")

    def improves(self, logs: Logs) -> bool:
        """Return whether the epoch improves the best value, which is then updated. NaN never improves it."""
        if self.monitor not in logs:
            cure = "for names with val_ give fit validation_data or validation_split"
            raise InputError(f"monitor is {self.monitor!r}", f"one of {', '.join(logs)}", cure)
        better = self.sign * logs[self.monitor] < self.sign * self.value - self.min_delta
        if better:
            self.value = logs[self.monitor]
        return better


def _higher_is_better(monitor: str, network: Network) -> bool:
    """Return the direction of a number in the logs. Raises InputError: it is unknown."""
    metrics = *network.metrics_for(True), *network.metrics_for(False)
    known = {"loss": False} | {m.name: m.higher_is_better for m in metrics if m.higher_is_better is not None}
    known |= {f"val_{name}": known[name] for name in known}
    if monitor not in known:
        cure = "give mode='max' for another number if higher is better, or mode='min'"
        raise InputError(f"monitor is {monitor!r} with mode='auto'", f"one of {', '.join(known)}", cure)
    return known[monitor]


def require_constant_rate(callback: Callback) -> None:
    """Raise InputError if the optimizer has a schedule, which sets the rate of each update."""
    if isinstance(callback.model.optimizer.learning_rate, Schedule):
        got = f"{type(callback).__name__} is used with a schedule"
        raise InputError(got, "a learning rate that is a number, as in Adam(1e-3)")


class EarlyStopping(CheckedCallback):
    """End training when a number has not improved for some epochs; as Keras's EarlyStopping.

    Args:
        monitor, min_delta, mode: see ``Best``.
        patience: epochs without improvement until training ends; 0 means 1.
        verbose: 1: print a line when this ends training.
        restore_best_weights: whether to restore the weights of the best epoch at the end of training, also
            if it is interrupted.

    Attributes:
        stopped_epoch: the last epoch if this callback ended training, else 0.
        best_epoch: the epoch with the best value.
    """

    monitor: LogName = "val_loss"
    min_delta: NotNegative = 0.0
    patience: Natural = 0
    verbose: Natural = 0
    mode: Mode = "auto"
    restore_best_weights: Flag = False

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self.best = Best(self.monitor, self.mode, self.model, self.min_delta)
        self.stopped_epoch = self.best_epoch = self._wait = 0
        self._weights: HostArrays | None = None

    def _improves(self, epoch: int, logs: Logs) -> bool:
        if self.best.improves(logs):
            self.best_epoch = epoch
            self._wait = 0
            return True
        self._wait += 1
        if self._wait >= self.patience:
            self.stopped_epoch = epoch
            self.model.stop_training = True
        return False

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        if self._improves(epoch, logs) and self.restore_best_weights:
            self._weights = self.model.parameters.to_host()
        if self.verbose and self.stopped_epoch == epoch:
            print_line(f"epoch {epoch}: early stopping, best epoch {self.best_epoch}")

    def state_arrays(self) -> HostArrays:
        return self._weights or {}

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        for epoch, logs in history.rows():
            self._improves(epoch, logs)
        if self.restore_best_weights and self.best_epoch:
            if not arrays:
                got = f"the training state holds no weights of the best epoch, {self.best_epoch}"
                cure = "resume with the callbacks of that training"
                raise StateError(f"{got}, for EarlyStopping to restore", cure=cure)
            self._weights = arrays

    def on_train_end(self) -> None:
        if self._weights is not None:
            self.model.parameters.load(self._weights)


class ReduceLROnPlateau(CheckedCallback):
    """Multiply the learning rate by ``factor`` after ``patience`` epochs without improvement; as in Keras.

    The history contains the rate of each epoch as "learning_rate". Training states contain the current rate,
    model files do not.

    Args:
        monitor, mode, min_delta: see ``Best``.
        factor: above 0 and below 1.
        patience: epochs, at least 1.
        verbose: 1: print each new rate.
        cooldown: epochs after a reduction that do not count, as in torch; in Keras one epoch less.
        min_lr: lower limit of the rate.
    Raises InputError: in training, if the optimizer has a schedule, which sets the rate of each update.
    """

    monitor: LogName = "val_loss"
    factor: Fraction = 0.1
    patience: Count = 10
    verbose: Natural = 0
    mode: Mode = "auto"
    min_delta: NotNegative = 1e-4
    cooldown: Natural = 0
    min_lr: NotNegative = 0.0

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        require_constant_rate(self)
        self.best = Best(self.monitor, self.mode, self.model, self.min_delta)
        self._wait = self._cooldown_left = 0

    def _stalls(self, logs: Logs) -> bool:
        """Return whether to reduce the rate after this epoch."""
        resting = self._cooldown_left > 0
        self._cooldown_left = max(0, self._cooldown_left - 1)
        self._wait = 0 if self.best.improves(logs) or resting else self._wait + 1
        if self._wait < self.patience:
            return False
        self._wait = 0
        self._cooldown_left = self.cooldown
        return True

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        optimizer_state = self.model.optimizer_state
        logs["learning_rate"] = now = optimizer_state.rate
        if self._stalls(logs) and now > self.min_lr:
            optimizer_state.rate = lower = max(now * self.factor, self.min_lr)
            if self.verbose:
                print_line(f"epoch {epoch}: learning rate {lower:g}")

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        for _, logs in history.rows():
            self._stalls(logs)


class ModelCheckpoint(CheckedCallback):
    """Save the model after each epoch, or after each best one; as Keras's ModelCheckpoint.

    If a model cannot be saved, such as on a full disk, a warning is logged and training continues.

    Args:
        filepath: of a safetensors file (``dnn.checkpoints``). It may contain numbers of the epoch, as in
            "model-{epoch:02d}-{val_loss:.3f}.safetensors"; otherwise each file replaces the last one.
        monitor, mode: see ``Best``.
        verbose: 1: print the path of each saved file.
        save_best_only: save only if the monitored number is the best so far, also over several fits.
    Raises InputError: when training begins, the file cannot be written.
    """

    filepath: Annotated[str | Path, require_path]
    monitor: LogName = "val_loss"
    verbose: Natural = 0
    save_best_only: Flag = False
    mode: Mode = "auto"

    first_worker_only = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.best: Best | None = None

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        if self.save_best_only and self.best is None:
            self.best = Best(self.monitor, self.mode, self.model)
        path = str(self.filepath)
        with reraise(OSError, f"filepath {path} cannot be written", "a file in a folder that exists"):
            require_writable(Path(os.path.dirname(path.partition("{")[0])))  # without numbers of the epoch
            if os.path.exists(path) and not os.path.isfile(path):
                raise OSError("it is not a file")

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        if self.best is not None:
            for _, logs in history.rows():
                self.best.improves(logs)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        best = copy(self.best)
        if best is not None and not best.improves(logs):
            return
        template = str(self.filepath)
        got = f"filepath is {template!r}, which cannot be formatted"
        cure = f"expected names among epoch, {', '.join(logs)}"
        with reraise((KeyError, IndexError, ValueError), got, "", cure):
            path = template.format(epoch=epoch, **logs)
        try:
            self.model.save(path)
        except CheckpointError as error:
            warn(f"{error}; epoch {epoch} is not saved, training continues")
            return
        self.best = best
        if self.verbose:
            print_line(f"epoch {epoch}: saved {path}")
