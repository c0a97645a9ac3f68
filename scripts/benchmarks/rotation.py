"""Run all contenders in turn, A B C A B C ..., one slice of updates each, while the others wait."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from _workers import Answer, run_in_process

from backends import BackendUnavailable
from benchmarks.task import Workload
from benchmarks.worker import measure
from dnn.commands.command_line import print_status

MAX_SLICE_UPDATES = 100
TIMEOUT_SECONDS = 3600.0  # per contender, for all its slices


@dataclass
class Results:
    """The measurements of all contenders."""

    settings: Workload
    # Name -> a measurement (see ``measure``) for each rotation, for contenders that ran in all rotations.
    runs: dict[str, list[Answer]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)  # name -> why it could not run

    def ms(self, name: str) -> list[float]:
        """Return milliseconds per update, one number for each rotation."""
        return [run["ms"] for run in self.runs[name]]


def rotate(names: Sequence[str], settings: Workload, rotations: int, required: bool) -> Results:
    """Time one slice of each contender in each rotation.

    Args:
        settings: its number of updates is divided among the slices.
        required: all contenders must run.
    Raises BackendUnavailable: a required contender fails.
    """
    settings = replace(settings, slice=max(1, min(MAX_SLICE_UPDATES, settings.updates // rotations)))
    results = Results(settings, {name: [] for name in names})
    workers = {name: run_in_process(measure, name, settings, timeout=TIMEOUT_SECONDS) for name in names}
    for rotation in range(1, rotations + 1):
        for name in list(results.runs):
            answer = next(workers[name])
            if "reason" in answer:
                if required:
                    raise BackendUnavailable(f"contender {name!r} cannot run: {answer['reason']}")
                del results.runs[name]
                message = results.missing[name] = answer["reason"]
            else:
                results.runs[name].append(answer)
                message = f"{answer['ms']:.3f} ms per update, test accuracy {answer['test_accuracy']:.4f}"
            print_status(f"rotation {rotation}/{rotations}  {name}: {message}")
    return results
