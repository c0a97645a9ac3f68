"""History: the loss, metrics and seconds of each epoch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import nan
from numbers import Real
from typing import Any

from backends.errors import InputError
from dnn.keras_names.aliases import ALIASES
from dnn.settings.checks import require
from dnn.typing import Logs

AXIS_LABELS = {"loss": "mean loss"}


def require_numbers(logs: Mapping[str, Any]) -> Logs:
    """Return the logs as floats. Raises InputError: a value is a bool, no number, or too large an integer."""
    numbers = {}
    for name, value in logs.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        require(is_number, f"logs[{name!r}]", value, "a number")
        try:
            numbers[name] = float(value)
        except OverflowError as error:
            raise InputError(f"logs[{name!r}] is beyond the largest float", "a smaller number") from error
    return numbers


class UnknownColumn(InputError, KeyError):
    """A name that is not in a history."""

    __str__ = ValueError.__str__  # KeyError's has quotes and escapes


class Columns(dict[str, list[float]]):
    """Name -> one number per epoch. The error for a name of Keras says which name is right here."""

    def __missing__(self, name: str) -> list[float]:
        _, prefix, short = str(name).rpartition("val_")
        right = prefix + ALIASES.get(short, short)
        cure = f"write {right!r}" if right in self else ""
        raise UnknownColumn(f"name is {name!r}", f"one of {', '.join(self)}", cure)


@dataclass
class History:
    """Numbers of each epoch, as ``fit`` returns them."""

    epoch: list[int] = field(default_factory=list)  # numbers from 1, counted from the model's first epoch
    # Name ("loss", "accuracy", "val_loss", ...) -> one number per epoch.
    history: dict[str, list[float]] = field(default_factory=Columns)

    def add(self, epoch: int, logs: Mapping[str, float]) -> None:
        """Append an epoch; a name that is missing in it, or in earlier epochs, gets NaN there.

        Raises InputError: a value is a bool, no number, or too large an integer.
        """
        numbers = require_numbers(logs)
        for name in {**self.history, **numbers}:
            column = self.history.setdefault(name, [nan] * len(self.epoch))
            column.append(numbers.get(name, nan))
        self.epoch.append(epoch)

    def rows(self) -> Iterator[tuple[int, Logs]]:
        """Yield (epoch, logs) of each epoch."""
        for i, epoch in enumerate(self.epoch):
            yield epoch, {name: values[i] for name, values in self.history.items()}

    def plot(self, title: str = "", labels: tuple[str, str] = ("training", "validation")) -> Any:
        """Return the curves of all numbers except seconds as a matplotlib Figure.

        A notebook shows it, ``savefig("curves.png")`` writes it.

        Args:
            title: above all panels.
            labels: of the training curve and of the validation curve.
        """
        from matplotlib.figure import Figure

        shown = [n for n in self.history if n != "seconds" and not n.startswith("val_")]
        figure = Figure(figsize=(4 * max(1, len(shown)), 3.2), layout="constrained")
        figure.suptitle(title, fontsize=10)
        panels = figure.subplots(1, max(1, len(shown)), squeeze=False).flat
        for axes, name in zip(panels, shown, strict=False):
            for key, label in zip((name, f"val_{name}"), labels, strict=True):
                if key in self.history:
                    axes.plot(self.epoch, self.history[key], "o-", ms=3, label=label)
            axes.set(xlabel="epoch", ylabel=AXIS_LABELS.get(name, name.replace("_", " ")))
            axes.locator_params("x", integer=True)
            axes.grid(alpha=0.3)
            axes.legend()
        return figure
