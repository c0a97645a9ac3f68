"""History: each epoch's numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import nan

from backends import InputError
from backends.errors import shown


@dataclass
class History:
    """The epochs' numbers, as ``fit`` returns them.

    Attributes:
        epoch: epoch numbers from 1, over the model's life.
        history: name ("loss", "accuracy", "val_loss", ...) -> a number an epoch.
    """

    epoch: list[int] = field(default_factory=list)
    history: dict[str, list[float]] = field(default_factory=dict)

    def add(self, epoch: int, logs: Mapping[str, float]) -> None:
        """One more epoch; where a name has no number, now or before, it gets NaN.
        Raises InputError: what is under a name is no number.
        """
        for name, value in logs.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise InputError(f"logs[{name!r}] is {shown(value)}, expected a number")
        for name in (*self.history, *(name for name in logs if name not in self.history)):
            numbers = self.history.setdefault(name, [nan] * len(self.epoch))
            numbers.append(float(logs.get(name, nan)))
        self.epoch.append(epoch)

    def rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        """(epoch, logs) as they were added."""
        for i, epoch in enumerate(self.epoch):
            yield epoch, {name: values[i] for name, values in self.history.items()}
