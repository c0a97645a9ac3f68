"""Run all contenders in turn, A B C A B C ..., one slice of updates each, while the others wait."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from _workers import Answer, run_in_process

from backends import BackendUnavailable
from benchmarks.contenders import environment
from benchmarks.task import Settings
from benchmarks.worker import measure

TIMEOUT_SECONDS = 3600.0  # per contender, for all its slices


@dataclass
class Results:
    """The measurements of all contenders."""

    settings: Settings
    # Name -> a measurement (see ``measure``) for each slice, for contenders that ran in all turns.
    runs: dict[str, list[Answer]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # name -> why it could not run

    def quartile(self, name: str) -> float:
        """Return the lower quartile of the milliseconds per update."""
        return float(np.quantile([run["ms"] for run in self.runs[name]], 0.25))


def rotate(
    names: Sequence[str], settings: Settings, slices: int, report: Callable[[str], object], required: bool
) -> Results:
    """Time the slices of the contenders in turn.

    Args:
        report: receives a line after each slice.
        required: all contenders must run.
    Raises BackendUnavailable: a required contender fails.
    """
    results = Results(settings, {name: [] for name in names})
    workers = {
        name: run_in_process(
            measure, name, settings, timeout=TIMEOUT_SECONDS, variables=environment(settings.threads)
        )
        for name in names
    }
    for number in range(1, slices + 1):
        for name in list(results.runs):
            answer = next(workers[name])
            if "reason" in answer:
                if required:
                    raise BackendUnavailable(f"contender {name!r} cannot run: {answer['reason']}")
                del results.runs[name]
                message = results.missing[name] = answer["reason"]
            else:
                results.runs[name].append(answer)
                message = f"{answer['ms']:.3f} ms per update"
            report(f"slice {number}/{slices}  {name}: {message}")
    return results
