"""History: each epoch's numbers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field


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
        """One more epoch."""
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)

    def rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        """(epoch, logs) as they were added."""
        for i, epoch in enumerate(self.epoch):
            yield epoch, {name: values[i] for name, values in self.history.items()}
