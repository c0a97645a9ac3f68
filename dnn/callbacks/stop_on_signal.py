"""StopOnSignal: a signal is remembered, and the training stops between two updates."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from dnn.callbacks.training_checkpoint import TrainingCheckpoint
from dnn.training.callback import Callback, Progress
from dnn.training.state import TrainingState
from dnn.validation.settings import require_kind

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(Exception):
    """Training was stopped by the signal of this number; ``saved``: whether its state could be written."""

    def __init__(self, number: int, saved: bool) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number
        self.saved = saved


class StopOnSignal(Callback):
    """Saves and raises Stopped at the next look after a signal, whose number ``asked`` then is, else None; a
    second signal stops at once.
    """

    first_worker_only = True
    every = 25  # updates between two looks: a CUDA graph's length, and a fraction of a second on a CPU

    def __init__(self, checkpoints: TrainingCheckpoint) -> None:
        self.checkpoints = require_kind("checkpoints", checkpoints, TrainingCheckpoint)
        self.asked: int | None = None
        self._left = 0  # epochs

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._left = epochs - first_epoch + 1

    def on_progress(self, progress: Progress) -> None:
        if progress.updates < progress.updates_per_epoch:  # else the validation comes first
            self._stop_if_asked(progress.take)

    def on_epoch_saved(self, take: Callable[[], TrainingState]) -> None:
        self._left -= 1
        if self._left:
            self._stop_if_asked(take)

    def _stop_if_asked(self, take: Callable[[], TrainingState]) -> None:
        if self.asked is not None:
            raise Stopped(self.asked, self.checkpoints.save(take()))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked is not None:
            raise KeyboardInterrupt
        self.asked = number

    @contextmanager
    def listening(self) -> Iterator[None]:
        """While this is open signals are remembered; only the main thread can listen.
        A signal that is ignored stays so: nohup wants a training to outlive its terminal.
        """
        heard = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, self._handle) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
