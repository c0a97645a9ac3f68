"""StopOnSignal: record a signal, and stop the training between two updates."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from backends.claims import finally_call
from dnn.callbacks.training_checkpoint import TrainingCheckpoint
from dnn.distributed import WorkerError, Workers
from dnn.settings.checks import require_kind
from dnn.training.callback import Callback, Progress, TakeState

# Windows has no SIGHUP.
HANDLED_SIGNALS = {signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}


class Stopped(Exception):
    """Training was stopped by a signal.

    Args:
        number: of the signal.
        saved: whether the training state could be written.
    """

    def __init__(self, number: int, saved: bool) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.signal = number
        self.saved = saved


class StopOnSignal(Callback):
    """Save the training and raise Stopped between two updates after a signal; a second signal stops at once.

    Args:
        checkpoints: saves the training.
        workers: all stop if one receives a signal, and the first one saves.

    Attributes:
        signal_number: the signal that was received; None before.
    """

    every = 25  # updates between two checks: the length of a CUDA graph, and a fraction of a second on a CPU

    def __init__(self, checkpoints: TrainingCheckpoint, workers: Workers | None = None) -> None:
        self.checkpoints = require_kind("checkpoints", checkpoints, TrainingCheckpoint)
        self.workers = require_kind("workers", workers, Workers, None) or Workers()
        self.signal_number: int | None = None

    def on_progress(self, progress: Progress) -> None:
        self.on_epoch_saved(progress.take_state)

    def on_epoch_saved(self, take_state: TakeState) -> None:
        """Save the training and raise Stopped if a worker has received a signal."""
        number = max(self.workers.gather(self.signal_number or 0))
        if number:
            raise Stopped(number, self.workers.share(lambda: self.checkpoints.save(take_state())))

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.signal_number is not None:
            raise KeyboardInterrupt
        self.signal_number = number

    @contextmanager
    def handle_signals(self) -> Iterator[None]:
        """Record signals in this context; only the main thread may enter it.

        A signal that is ignored stays ignored: with nohup a training outlives its terminal. A signal may end
        another worker before all could agree to save; this one then is stopped without it.
        """
        handlers = {number: signal.getsignal(number) for number in HANDLED_SIGNALS}
        active = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}
        with finally_call(lambda: [signal.signal(*pair) for pair in active.items()]):
            for number in active:
                signal.signal(number, self._handle)
            try:
                yield
            except WorkerError:
                if self.signal_number is None:
                    raise
                raise Stopped(self.signal_number, saved=False) from None
