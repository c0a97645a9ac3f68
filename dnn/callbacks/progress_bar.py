"""What a person sees while a network trains: a live bar on a terminal, a line an epoch elsewhere."""

import sys
import time
from collections.abc import Mapping
from typing import Any

from dnn.io.notices import say
from dnn.training.callback import Callback, Progress

SHORT = {"accuracy": "acc", "mean_absolute_error": "error", "mean_squared_error": "squared error"}


def numbers_of(logs: Mapping[str, float]) -> list[str]:
    """Each number with its name, shortened, as in "test acc 0.9812"."""
    names = {name: name.removeprefix("val_") for name in logs if name != "seconds"}
    return [
        f"{'test ' if name != plain else ''}{SHORT.get(plain, plain)} {logs[name]:.4f}"
        for name, plain in names.items()
    ]


def epoch_line(epoch: int, epochs: int, logs: Mapping[str, float]) -> str:
    """One epoch's numbers in a line."""
    numbers = numbers_of(logs)
    return "  ".join([f"epoch {epoch:>{len(str(epochs))}}/{epochs}", *numbers, f"{logs['seconds']:.1f} s"])


class PlainProgress(Callback):
    """A line an epoch on standard output.

    Args:
        headline: a line before the first.
    """

    def __init__(self, headline: str = "") -> None:
        self.headline = headline

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._epochs = epochs
        if self.headline:
            say(self.headline)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        say(epoch_line(epoch, self._epochs, logs))


class LiveProgress(PlainProgress):
    """A rich progress bar: updates, loss, accuracy, updates a second, time left.

    The device is read a few times a second at most, between updates.
    """

    every = 10
    _INTERVAL = 0.25  # seconds between two reads of the device

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        from rich import progress

        super().on_train_begin(first_epoch, epochs, updates_per_epoch)
        self._first = first_epoch
        self._per_epoch = updates_per_epoch
        self._bar: Any = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=24),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[numbers]}"),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
        )
        total = (epochs - first_epoch + 1) * updates_per_epoch
        self._task = self._bar.add_task("training", total=total, numbers="", rate="")
        self._last = self._start = time.perf_counter()
        self._bar.start()

    def on_progress(self, progress: Progress) -> None:
        now = time.perf_counter()
        if now - self._last < self._INTERVAL:
            return
        self._last = now
        numbers = numbers_of(dict(zip(progress.names, progress.read(), strict=True)))
        done = (progress.epoch - self._first) * progress.updates_per_epoch + progress.updates
        self._bar.update(
            self._task,
            completed=done,
            description=f"epoch {progress.epoch}/{progress.epochs}",
            numbers="  ".join(numbers),
            rate=f"{done / (now - self._start):.0f} updates/s",
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self._bar.update(self._task, completed=(epoch - self._first + 1) * self._per_epoch)
        self._bar.console.print(epoch_line(epoch, self._epochs, logs), highlight=False, soft_wrap=True)

    def on_train_end(self) -> None:
        self._bar.stop()


def progress_for_stdout(headline: str = "") -> Callback:
    """The live bar if standard output is a terminal, else plain lines."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return LiveProgress(headline) if terminal else PlainProgress(headline)
