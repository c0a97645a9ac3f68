"""Progress of a training on standard output: one line per epoch, and on a terminal one during an epoch."""

import sys
import time
from collections.abc import Mapping, Sequence
from shutil import get_terminal_size

from dnn.io.notices import ignore_failures, print_line
from dnn.settings.checks import require
from dnn.training.callback import Callback, CheckedCallback, Progress, require_callbacks
from dnn.typing import Logs

MAX_COLUMNS = 1000  # the variable COLUMNS may hold any number
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
        where = f"epoch {epoch:>{len(str(self._epochs))}}/{self._epochs}"
        numbers = format_numbers(logs, self.validation)
        print_line("  ".join([where, *numbers, f"{logs['seconds']:.1f} s"]))


class LiveProgress(PlainProgress):
    """Also show updates, loss and metrics during an epoch, in one line of the terminal."""

    every = 25  # the number of updates that a backend records together
    _INTERVAL_SECONDS = 0.25  # between two reads of the device
    _last = 0.0

    def on_progress(self, progress: Progress) -> None:
        now = time.perf_counter()
        if now - self._last < self._INTERVAL_SECONDS:
            return
        self._last = now
        where = f"epoch {progress.epoch}/{progress.epochs}  {progress.updates}/{progress.updates_per_epoch}"
        numbers = format_numbers(dict(zip(progress.names, progress.read(), strict=True)))
        show_for_now("  ".join([where, *numbers]))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        show_for_now("")
        super().on_epoch_end(epoch, logs)

    def on_train_end(self) -> None:
        show_for_now("")


def show_for_now(text: str) -> None:
    """Print a line of the terminal that the next output overwrites."""
    width = min(get_terminal_size().columns, MAX_COLUMNS) - 1
    print_line(f"{text:{width}.{width}}", end="\r")


def progress_for_stdout(headline: str = "", validation: str = "val") -> Callback:
    """Return LiveProgress if standard output is a terminal, else PlainProgress."""
    terminal = False
    with ignore_failures():  # sys.stdout may be None or a closed file
        terminal = sys.stdout.isatty()
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
    if verbose == 0 or any(isinstance(callback, PlainProgress) for callback in callbacks):
        return [*callbacks]
    return [*callbacks, PlainProgress() if verbose == 2 else progress_for_stdout()]
