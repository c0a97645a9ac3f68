"""All contenders in turn, A B C A B C ..., a slice of updates each time, while the others' processes wait."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from _workers import ask

from benchmarks.contenders import available, environment
from benchmarks.ratios import lower_quartile
from benchmarks.settings import Settings

MAX_SLICE_UPDATES = 100
"""Updates."""
TIMEOUT_SECONDS = 3600.0
"""Seconds of a contender, in all slices."""
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

    def names(self) -> list[str]:
        """The contenders that ran, the fastest first."""
        return sorted(self.runs, key=lambda name: lower_quartile(self.ms(name)))


def slices(name: str, settings: Settings) -> Iterator[Measurement]:
    """Each slice of one contender in a process of its own, measured when it is asked for; or {"reason"}."""
    variables = environment(name, settings.threads)
    return ask("benchmarks.worker", name, asdict(settings), TIMEOUT_SECONDS, variables)


def rotate(
    names: Sequence[str] | None,
    settings: Settings,
    rotations: int,
    tell: Callable[[str], object] = lambda line: None,
) -> Results:
    """Time a slice of each contender (None: all that are ``available``) in each rotation.

    The settings' updates are shared out over the slices. A contender that fails is left out from then on.
    ``tell`` receives a line after each slice.
    """
    able, missing = available(names)
    settings = replace(settings, slice=max(1, min(MAX_SLICE_UPDATES, settings.updates // rotations)))
    results = Results(settings, {name: [] for name in able}, missing)
    asked = {name: slices(name, settings) for name in able}
    for rotation in range(1, rotations + 1):
        for name in list(results.runs):
            answer = next(asked[name])
            if "reason" in answer:
                del results.runs[name]
                said = results.missing[name] = answer["reason"]
            else:
                results.runs[name].append(answer)
                said = f"{answer['ms']:.3f} ms an update"
            tell(f"rotation {rotation}/{rotations}  {name}: {said}")
    return results
