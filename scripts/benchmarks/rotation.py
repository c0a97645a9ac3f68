"""All contenders in turn, A B C A B C ..., each time in a fresh process."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from _workers import ask

from benchmarks.contenders import available, environment
from benchmarks.settings import Settings

Measurement = dict[str, Any]  # what ``worker.measure`` returns


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
        return sorted(self.runs, key=lambda name: statistics.median(self.ms(name)))


def run_one(name: str, settings: Settings, timeout: float = 900.0) -> Measurement:
    """One contender in a process of its own: its measurement, or {"name", "reason"}."""
    variables = environment(name, settings.threads)
    found = ask("benchmarks.worker", name, asdict(settings), timeout, variables)
    return {"name": name, **found}


def rotate(
    names: Sequence[str] | None,
    settings: Settings,
    rotations: int,
    told: Callable[[str], object] = lambda line: None,
    run: Callable[[str, Settings], Measurement] = run_one,
) -> Results:
    """Each contender (None: all that are ``available``) once a rotation, measured by ``run``.

    One that fails is left out from then on. ``told`` receives a line after each run.
    """
    able, missing = available(names)
    results = Results(settings, {name: [] for name in able}, missing)
    for rotation in range(1, rotations + 1):
        for name in list(results.runs):
            answer = run(name, settings)
            if "reason" in answer:
                del results.runs[name]
                said = results.missing[name] = answer["reason"]
            else:
                results.runs[name].append(answer)
                said = f"{answer['ms']:.3f} ms an update"
            told(f"rotation {rotation}/{rotations}  {name}: {said}")
    return results
