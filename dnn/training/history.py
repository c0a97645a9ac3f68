"""History: each epoch's numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

from dnn.validation.settings import require

AXIS_LABELS = {"loss": "mean loss"}


@dataclass
class History:
    """The epochs' numbers, as ``fit`` returns them."""

    epoch: list[int] = field(default_factory=list)  # epoch numbers from 1, over the model's life
    # Name ("loss", "accuracy", "val_loss", ...) -> a number an epoch.
    history: dict[str, list[float]] = field(default_factory=dict)

    def add(self, epoch: int, logs: Mapping[str, float]) -> None:
        """One more epoch; a name without a number, now or before, gets NaN. InputError: it is no number."""
        for name, value in logs.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            require(number, f"logs[{name!r}]", value, "a number")
        for name in {**self.history, **logs}:
            self.history.setdefault(name, [nan] * len(self.epoch)).append(float(logs.get(name, nan)))
        self.epoch.append(epoch)

    def rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        """(epoch, logs) as they were added."""
        for i, epoch in enumerate(self.epoch):
            yield epoch, {name: values[i] for name, values in self.history.items()}

    def plot(
        self, title: str = "", labels: tuple[str, str] = ("training", "validation"),
        names: Sequence[str] | None = None,
    ) -> Any:  # fmt: skip
        """The curves as a matplotlib Figure: a notebook shows it, ``savefig("curves.png")`` writes it.
        ``labels`` are those of the curves of training and of validation. There is a picture for each of the
        ``names``; None: for each number but the seconds.
        """
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator

        every = [n for n in self.history if n != "seconds" and not n.startswith("val_")]
        shown = every if names is None else list(names)
        figure = Figure(figsize=(4 * max(1, len(shown)), 3.2), layout="constrained")
        figure.suptitle(title, fontsize=10)
        places = figure.subplots(1, max(1, len(shown)), squeeze=False).flat
        for axes, name in zip(places, shown, strict=False):
            curves = zip((name, f"val_{name}"), labels, ("tab:blue", "tab:red"), strict=True)
            for key, label, colour in curves:
                if key in self.history:
                    axes.plot(self.epoch, self.history[key], "o-", ms=3, color=colour, label=label)
            axes.set(xlabel="epoch", ylabel=AXIS_LABELS.get(name, name.replace("_", " ")))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(alpha=0.3)
            axes.legend()
        return figure
