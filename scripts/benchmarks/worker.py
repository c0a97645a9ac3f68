"""Time one contender in this process, slice by slice."""

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.contenders import get_contender
from benchmarks.task import Settings, load

# Training before a timed slice: the system may leave all threads of a woken process on one core at first.
WAKE_SECONDS = 0.15
SLICE_UPDATES = 20
MIN_SLICE_SECONDS = 0.05


def other_core_seconds() -> float | None:
    """Return the core seconds used by other processes or stolen by the host so far; None if unknown."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, *rest = (int(ticks) for ticks in file.readline().split()[1:9])
        return (user + nice + system + sum(rest)) / os.sysconf("SC_CLK_TCK") - time.process_time()
    except (OSError, ValueError):
        return None


def measure(name: str, settings: Settings) -> Iterator[dict[str, Any]]:
    """Prepare, warm up, and time one slice for each value that is requested.

    Yields:
        ms (per update), other (mean number of cores used by other processes), facts.
    """
    if settings.threads is not None and name == "jax" and hasattr(os, "sched_setaffinity"):
        # XLA has no variable for the number of threads. It counts the cores that it may use.
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: settings.threads])
    contender = get_contender(name)
    task = load(settings, contender.device)
    prepared = contender.prepare(task)
    # All contenders warm up for an epoch: it brings Adam's moments to the values of a real training, where
    # they decay into denormals, and compiles the calls of contenders that train full epochs.
    size = task.updates_per_epoch
    prepared.run(size)
    if not prepared.trains_epochs:
        size = min(size, SLICE_UPDATES)
    facts = {"numpy": np.__version__, **prepared.facts}
    while True:
        awake = time.perf_counter() + WAKE_SECONDS
        while not prepared.trains_epochs and time.perf_counter() < awake:
            prepared.run(size)
        before = other_core_seconds()
        start = time.perf_counter()
        seconds = 0.0
        updates = 0
        while not updates or seconds < MIN_SLICE_SECONDS:
            prepared.run(size)
            updates += size
            seconds = time.perf_counter() - start
        after = other_core_seconds()
        yield {
            "ms": 1e3 * seconds / updates,
            "other": None if before is None or after is None else max(0.0, after - before) / seconds,
            "facts": facts,
        }
