"""Run all contenders in turn, A B C A B C ..., one slice of updates each, while the others wait."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from _workers import Answer, run_in_process

from backends import BackendUnavailable
from benchmarks.contenders import get_contender
from benchmarks.task import Workload, load, scale_pixels
from dnn.commands.command_line import print_status

MAX_SLICE_UPDATES = 100
TIMEOUT_SECONDS = 3600.0  # per contender, for all its slices
# Training before a timed slice: the system may leave all threads of a woken process on one core at first.
WAKE_SECONDS = 0.15


def other_core_seconds() -> float | None:
    """Return the core seconds used by other processes or stolen by the host so far; None if unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, *rest = (int(ticks) for ticks in file.readline().split()[1:9])
        return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - time.process_time()
    except (OSError, ValueError):
        return None


def measure(name: str, settings: Workload) -> Iterator[Answer]:
    """Prepare, warm up, and time one slice for each value that is requested.

    Yields:
        ms (per update), other (mean number of cores used by other processes), test_accuracy, facts.
    """
    contender = get_contender(name)
    task = load(settings, contender.device)
    prepared = contender.prepare(task)
    # All contenders warm up with the same number of updates. One that trains full epochs makes one call of
    # the size that is timed, because that size must be compiled.
    prepared.run(task.updates_per_call)
    size = task.updates_per_call if prepared.trains_epochs else settings.slice
    while True:
        awake = time.perf_counter() + WAKE_SECONDS
        while not prepared.trains_epochs and time.perf_counter() < awake:
            prepared.run(size)
        before = other_core_seconds()
        start = time.perf_counter()
        seconds = 0.0
        updates = 0
        while not updates or seconds < settings.slice_seconds:
            prepared.run(size)
            updates += size
            seconds = time.perf_counter() - start
        after = other_core_seconds()
        predicted = prepared.probabilities(scale_pixels(task.x_test)).argmax(1)
        yield {
            "ms": 1e3 * seconds / updates,
            "other": None if before is None or after is None else max(0.0, after - before) / seconds,
            "test_accuracy": float(np.mean(predicted == task.y_test)),
            "facts": prepared.facts,
        }


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
    Raises BackendUnavailable: a required contender fails. DatasetError: the data cannot be loaded.
    """
    load(settings)  # downloads what is missing once, not in each worker
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
