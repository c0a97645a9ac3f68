"""All contenders in turn, A B C A B C ..., a slice of updates each time, while the others' processes wait."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from _workers import ask_often

from benchmarks.contenders import available, environment
from benchmarks.quartiles import lower_quartile
from benchmarks.settings import Settings

Measurement = dict[str, Any]  # of a slice, as ``worker.measure`` yields it


@dataclass
class Results:
    """The measurements of all contenders."""

    settings: Settings  # of all runs
    # Name -> a measurement for each rotation, in order, of those that ran in all of them.
    runs: dict[str, list[Measurement]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # name -> why it could not run

    def ms(self, name: str) -> list[float]:
        """Milliseconds an update, one number a rotation."""
        return [float(run["ms"]) for run in self.runs[name]]

    def not_run(self) -> list[str]:
        """A line for each contender that could not run."""
        return [f"not run: {name}: {why}" for name, why in self.missing.items()]

    def names(self) -> list[str]:
        """The contenders that ran, the fastest first."""
        return sorted(self.runs, key=lambda name: lower_quartile(self.ms(name)))


def slices(name: str, settings: Settings, times: int, timeout: float = 900.0) -> Iterator[Measurement]:
    """So many slices of one contender in a process of its own: each measurement, or {"name", "reason"}."""
    variables = environment(name, settings.threads)
    for found in ask_often("benchmarks.worker", name, asdict(settings), timeout, times, variables):
        yield {"name": name, **found}


def rotate(
    names: Sequence[str] | None,
    settings: Settings,
    rotations: int,
    told: Callable[[str], object] = lambda line: None,
    run: Callable[[str, Settings], Measurement] | None = None,
) -> Results:
    """A slice of each contender (None: all that are ``available``) a rotation, or what ``run`` makes of it.

    Together a contender's slices are the settings' updates, but that each has at most ``chunk``. One that
    fails is left out from then on. ``told`` receives a line after each slice.
    """
    able, missing = available(names)
    settings = replace(settings, chunk=max(1, min(settings.chunk, settings.updates // rotations)))
    results = Results(settings, {name: [] for name in able}, missing)
    asked = {name: slices(name, settings, rotations) for name in able}
    for rotation in range(1, rotations + 1):
        for name in list(results.runs):
            answer = run(name, settings) if run else next(asked[name])
            if "reason" in answer:
                del results.runs[name]
                said = results.missing[name] = answer["reason"]
            else:
                results.runs[name].append(answer)
                said = f"{answer['ms']:.3f} ms an update"
            told(f"rotation {rotation}/{rotations}  {name}: {said}")
    return results
