"""Progress of a training on standard output: a live bar on a terminal, else one line per epoch."""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, cast

from backends.errors import printable
from dnn.io.notices import SteadyOutput, print_line
from dnn.training.callback import Callback, CheckedCallback, Progress, require_callbacks
from dnn.typing import Logs
from dnn.validation.settings import require

SHORT_NAMES = {"accuracy": "acc", "mean_absolute_error": "error", "mean_squared_error": "squared error"}


def format_numbers(logs: Mapping[str, float], validation: str = "val") -> list[str]:
    """Return each number with its short name, as in "val acc 0.9812"; ``validation`` replaces "val"."""
    shown = []
    for name, value in logs.items():
        plain = name.removeprefix("val_")
        data = "" if name == plain else f"{validation} "
        if name != "seconds":
            shown.append(f"{data}{SHORT_NAMES.get(plain, plain)} {value:.4f}")
    return shown


def epoch_line(epoch: int, epochs: int, logs: Mapping[str, float], validation: str = "val") -> str:
    """Return the line of an epoch: its number, the logs and the seconds."""
    where = f"epoch {epoch:>{len(str(epochs))}}/{epochs}"
    seconds = f"{logs['seconds']:.1f} s"
    return "  ".join([where, *format_numbers(logs, validation), seconds])


class PlainProgress(CheckedCallback):
    """Print one line per epoch to standard output.

    Args:
        headline: printed before the first epoch.
        validation: word before the numbers of the validation data; ``train.py``, whose validation data is the
            test set, says "test".
    """

    headline: str = ""
    validation: str = "val"

    first_worker_only = True

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._epochs = epochs
        if self.headline:
            print_line(self.headline)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        print_line(epoch_line(epoch, self._epochs, logs, self.validation))


class LiveProgress(PlainProgress):
    """A progress bar (rich): updates, loss, accuracy, updates per second, time left."""

    every = 25  # the number of updates that a backend records together
    _INTERVAL_SECONDS = 0.25  # between two reads of the device

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        from rich import console, progress

        super().on_train_begin(first_epoch, epochs, updates_per_epoch)
        self._first = first_epoch
        self._per_epoch = updates_per_epoch
        text = progress.TextColumn
        self._bar: Any = progress.Progress(
            text("{task.description}"), progress.BarColumn(bar_width=24), progress.MofNCompleteColumn(),
            text("{task.fields[numbers]}"), text("{task.fields[rate]}"), progress.TimeRemainingColumn(),
            console=console.Console(file=cast("IO[str]", SteadyOutput())),
        )  # fmt: skip
        total = (epochs - first_epoch + 1) * updates_per_epoch
        self._task = self._bar.add_task("training", total=total, numbers="", rate="")
        self._last = self._start = time.perf_counter()
        self._bar.start()

    def on_progress(self, progress: Progress) -> None:
        now = time.perf_counter()
        if now - self._last < self._INTERVAL_SECONDS:
            return
        self._last = now
        numbers = "  ".join(format_numbers(dict(zip(progress.names, progress.read(), strict=True))))
        done = (progress.epoch - self._first) * progress.updates_per_epoch + progress.updates
        where = f"epoch {progress.epoch}/{progress.epochs}"
        rate = f"{done / (now - self._start):.0f} updates/s"
        self._bar.update(self._task, completed=done, description=where, numbers=numbers, rate=rate)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        self._bar.update(self._task, completed=(epoch - self._first + 1) * self._per_epoch)
        line = epoch_line(epoch, self._epochs, logs, self.validation)
        self._bar.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)

    def on_train_end(self) -> None:
        self._bar.stop()


def progress_for_stdout(headline: str = "", validation: str = "val") -> Callback:
    """Return the live bar if standard output is a terminal, else plain lines."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return (LiveProgress if terminal else PlainProgress)(headline, validation)


def require_verbose(verbose: str | int) -> None:
    """Raise InputError unless this is a value of Keras's ``verbose``."""
    fits = isinstance(verbose, (str, int)) and verbose in ("auto", 0, 1, 2)
    require(fits, "verbose", verbose, "'auto', 0, 1 or 2")


def add_progress(callbacks: Sequence[Callback] | None, verbose: str | int) -> list[Callback]:
    """Return the callbacks of ``fit``, with one for ``verbose`` unless they already show progress.

    Raises InputError: invalid callbacks, or another value of verbose.
    """
    callbacks = () if callbacks is None else callbacks
    require_callbacks(callbacks)
    require_verbose(verbose)
    shown = PlainProgress() if verbose == 2 else progress_for_stdout()
    # Not a terminal, but its output is shown to a reader.
    notebook = type(sys.stdout).__module__.startswith("ipykernel")
    quiet = verbose == 0 or (verbose == "auto" and not notebook and not isinstance(shown, LiveProgress))
    quiet = quiet or any(isinstance(callback, PlainProgress) for callback in callbacks)
    return [*callbacks] if quiet else [*callbacks, shown]
