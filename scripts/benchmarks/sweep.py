"""How the time of an update grows with the batch, the width, the depth and the threads, and how that of an
epoch grows with the samples.

The exponent e of a contender is the slope of log(time) over log(value), by least squares: time ~ value^e.
Small values are all fixed cost, so the slope over the larger half is given too.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from _tables import columns

from benchmarks.contenders import get_contender
from benchmarks.floors import flops
from benchmarks.quartiles import lower_quartile
from benchmarks.report import machine
from benchmarks.rotation import Results, rotate
from benchmarks.settings import Settings
from dnn.commands.figures import picture

VALUES: Mapping[str, tuple[int, ...]] = {
    "batch": (1, 10, 100, 1000, 10000),
    "width": (50, 100, 200, 500, 1000, 2000, 4000),
    "depth": (1, 2, 3, 5, 7, 10),
    "threads": (1, 2),
    "samples": (1000, 3000, 10000, 30000, 60000),
}
BUDGET = 2e11  # floating-point operations of the timed products at one value: 2 to 4 s
FEWEST, MOST = 6, 3000  # updates


def settings_at(kind: str, value: int, settings: Settings, updates: int | None = None) -> Settings:
    """The settings with one of them swept; without ``updates``, as many as the budget holds.

    >>> settings_at("depth", 3, Settings(hidden=(20,)), 10).hidden
    (20, 20, 20)
    """
    if kind == "width":
        settings = replace(settings, hidden=(value,) * max(1, len(settings.hidden)))
    elif kind == "depth":
        settings = replace(settings, hidden=(settings.hidden or (500,))[:1] * value)
    elif kind in ("batch", "threads"):
        settings = replace(settings, **{kind: value})  # type: ignore[arg-type]
    else:  # samples: whole epochs, with what is done between them
        whole = max(1, value // settings.batch)
        updates = whole * max(1, (updates or MOST // 2) // whole)
        return replace(settings, limit=value, updates=updates, chunk=whole)
    if updates is None:
        once = flops((784, *settings.hidden, 10), settings.batch)
        updates = max(FEWEST, min(MOST, int(BUDGET / once)))
    return replace(settings, updates=updates, chunk=max(1, updates // 6))


@dataclass(frozen=True)
class Sweep:
    """Results at each value of what was swept."""

    kind: str
    at: Mapping[int, Results]

    def times(self, name: str) -> dict[int, float]:
        """Value -> ms an update (samples: an epoch), the lower quartile of all, where this one ran."""
        return {
            v: lower_quartile(r.ms(name)) * (max(1, v // r.settings.batch) if self.kind == "samples" else 1)
            for v, r in self.at.items()
            if name in r.runs
        }

    @property
    def unit(self) -> str:
        """Of ``times``."""
        return "ms an epoch" if self.kind == "samples" else "ms an update"

    def names(self) -> list[str]:
        """Every contender that ran at one value at least."""
        return list(dict.fromkeys(name for results in self.at.values() for name in results.runs))

    @property
    def missing(self) -> dict[str, str]:
        """Name -> why it could not run at some value."""
        return {name: why for results in self.at.values() for name, why in results.missing.items()}


def exponent(times: Mapping[int, float]) -> float | None:
    """The slope of log(time) over log(value); None for fewer than two values.

    >>> exponent({1: 3.0, 2: 12.0, 4: 48.0})
    2.0
    """
    if len(times) < 2:
        return None
    x, y = [math.log(v) for v in times], [math.log(t) for t in times.values()]
    return round(statistics.linear_regression(x, y).slope, 3)


def larger_half(times: Mapping[int, float]) -> dict[int, float]:
    """The larger half of the values, at least two."""
    keys = sorted(times)
    return {v: times[v] for v in keys[-max(2, math.ceil(len(keys) / 2)) :]}


def sweep(
    kind: str,
    names: Sequence[str] | None,
    settings: Settings,
    rotations: int,
    updates: int | None = None,
    told: Callable[[str], object] = lambda line: None,
) -> Sweep:
    """A rotation of the contenders at each value of "batch", "width", "depth", "threads" or "samples"."""
    at = {}
    for value in VALUES[kind]:
        here = settings_at(kind, value, settings, updates)
        at[value] = rotate(names, here, rotations, lambda line, v=value: told(f"{kind} {v}: {line}"))  # type: ignore[misc]
    return Sweep(kind, at)


def table(sweep: Sweep) -> str:
    """Milliseconds an update or epoch, microseconds an example, and the exponents."""
    times = {name: sweep.times(name) for name in sweep.names()}
    rows = []
    for value, results in sweep.at.items():
        examples = value if sweep.kind == "samples" else results.settings.batch
        cells = [
            f"{t[value]:.3f} / {1e3 * t[value] / examples:.2f}" if value in t else "-" for t in times.values()
        ]
        rows.append([str(value), *cells])
    for label, part in (("exponent", dict), ("larger half", larger_half)):
        slopes = [exponent(part(t)) for t in times.values()]
        rows.append([label, *("-" if s is None else f"{s:.2f}" for s in slopes)])
    missing = dict.fromkeys(line for results in sweep.at.values() for line in results.not_run())
    head = f"{sweep.unit} / microseconds an example"
    return "\n".join([head, columns([sweep.kind, *times], rows, ruled=True), *missing])


def as_json(sweep: Sweep) -> dict[str, Any]:
    """Every measurement of a sweep, and the exponents."""
    return {
        "machine": machine(),
        "sweep": sweep.kind,
        "exponents": {n: exponent(sweep.times(n)) for n in sweep.names()},
        "exponents_larger_half": {n: exponent(larger_half(sweep.times(n))) for n in sweep.names()},
        "at": {str(value): asdict(results) for value, results in sweep.at.items()},
    }


def draw(sweep: Sweep, path: Path) -> None:
    """A line for each contender, on logarithmic axes."""
    with picture(path, 9, 5) as figure:
        axes = figure.subplots()
        for name in sweep.names():
            times, contender = sweep.times(name), get_contender(name)
            dashes = "--" if contender.kind == "floor" else "-"
            axes.plot(list(times), list(times.values()), "o" + dashes, ms=4, label=contender.label)
        axes.set(xscale="log", yscale="log", xlabel=sweep.kind, ylabel=sweep.unit)
        axes.set_xticks(list(sweep.at), [str(value) for value in sweep.at])
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
