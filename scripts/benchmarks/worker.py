"""Time one contender in this process, slice by slice."""

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.contenders import get_contender
from benchmarks.task import Workload, load, scale_pixels

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


def measure(name: str, settings: Workload) -> Iterator[dict[str, Any]]:
    """Prepare, warm up, and time one slice for each value that is requested.

    Yields:
        ms (per update), other (mean number of cores used by other processes), test_accuracy, facts.
    """
    contender = get_contender(name)
    task = load(settings, contender.device)
    prepared = contender.prepare(task)
    # All contenders warm up with the same number of updates. Contenders that train full epochs use one call
    # of the timed size, so that it is compiled.
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
            "facts": {"numpy": np.__version__, **prepared.facts},
        }
