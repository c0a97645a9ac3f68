"""The report on a rotation, as a table and as JSON.

Other load on a machine only adds time, so lower quartiles of times are compared; medians of disturbed runs
depend on luck. The bootstrap resamples the rotations with replacement; the interval holds 95 % of the
results.
"""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from _tables import format_columns

from backends import get_backend
from benchmarks.contenders import get_contender
from benchmarks.rotation import Results

BASELINE_CONTENDER = "pytorch"
OURS = ("numba", "torch", "numpy")
WORKLOAD_CONTENDERS = (*OURS, "pytorch", "pytorch-fused", "jax")
AUTO_HEADINGS = ("auto takes", "auto / our fastest", "auto / PyTorch", "auto / JAX")
VERSIONS = ("numpy", "numba", "torch", "jax", "keras", "sklearn")
N_RESAMPLES = 1000
MAX_QUIET_CORES = 0.1
"""Mean number of cores busy with other processes up to which the machine counts as quiet."""


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}  ({self.low:.3f} to {self.high:.3f})"


def lower_quartile(ours: Sequence[float], theirs: Sequence[float] | None = None) -> Estimate:
    """Return the lower quartile of ``ours``, or its ratio to that of ``theirs``, with its interval.

    Element i of both was measured in rotation i.
    """
    n = len(ours)
    rotations = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    rotations = np.vstack([np.arange(n), rotations])  # the first row is the measurement itself
    values = np.quantile(np.asarray(ours)[rotations], 0.25, axis=1)
    if theirs is not None:
        values /= np.quantile(np.asarray(theirs)[rotations], 0.25, axis=1)
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return Estimate(float(values[0]), float(low), float(high))


def ratios(results: Results) -> dict[str, Estimate]:
    """Return the ratio of each contender to the baseline; empty if the baseline did not run."""
    if BASELINE_CONTENDER not in results.runs:
        return {}
    baseline = results.ms(BASELINE_CONTENDER)
    return {name: lower_quartile(results.ms(name), baseline) for name in results.runs}


def table(results: Results) -> str:
    """Return the table: contenders (fastest first), contenders that could not run and why."""
    ratio = ratios(results)
    quartiles = {name: lower_quartile(results.ms(name)) for name in results.runs}
    rows = []
    for name in sorted(quartiles, key=lambda name: quartiles[name]):
        last = results.runs[name][-1]
        cells = [str(quartiles[name]), str(ratio.get(name, "-")), f"{last['preparation']:.1f}"]
        rows.append([name, get_contender(name).label, *cells, f"{last['test_accuracy']:.4f}"])
    headings = ["contender", "", "ms per update", f"ratio to {BASELINE_CONTENDER}", "prepare s", "accuracy"]
    not_run = [f"not run: {name}: {why}" for name, why in results.missing.items()]
    return "\n".join([format_columns(headings, rows, 2), *not_run, *quietness([results])])


def quietness(results: Sequence[Results]) -> list[str]:
    """Return a line about other load during the timed slices, or nothing if it is unknown."""
    runs = [run for result in results for runs in result.runs.values() for run in runs]
    others = [run["other"] for run in runs if run["other"] is not None]
    if not others:
        return []
    cores = statistics.fmean(others)
    word = "quiet" if cores <= MAX_QUIET_CORES else "NOT QUIET: compare only ratios, and with care"
    return [f"Other processes used {cores:.2f} cores on average during the slices: {word}"]


def ratio_grid(results: Results) -> list[list[str]]:
    """Return a table of the times of our backends, and their ratios to each other library."""
    others = [name for name in results.runs if name not in OURS]
    rows = []
    for name in OURS:
        if name in results.runs:
            ms = results.ms(name)
            ratio = [f"{lower_quartile(ms, results.ms(other)).value:.2f}" for other in others]
            rows.append([name, f"{lower_quartile(ms).value:.2f}", *ratio])
    return [["backend", "ms", *(get_contender(name).label for name in others)], *rows]


def workloads_grid(results: Mapping[str, Results]) -> list[list[str]]:
    """Return a table with a row for each workload: milliseconds per update, and the ratios of "auto"."""
    grid = [["ms per update", *map(_short_label, WORKLOAD_CONTENDERS), *AUTO_HEADINGS]]
    for workload, found in results.items():
        ms = {name: lower_quartile(found.ms(name)).value for name in found.runs}
        auto = get_backend("auto", "cpu", convolutions=bool(found.settings.filters)).name
        rivals = (OURS, ("pytorch", "pytorch-fused"), ("jax",))
        best = [min((ms[name] for name in names if name in ms), default=None) for names in rivals]
        ratio = ["-" if other is None else f"{ms[auto] / other:.2f}" for other in best]
        times = [f"{ms[name]:.3g}" if name in ms else "-" for name in WORKLOAD_CONTENDERS]
        grid.append([workload, *times, auto, *ratio])
    return grid


def _short_label(name: str) -> str:
    return name if name in OURS else get_contender(name).label


def describe(results: Sequence[Results]) -> str:
    """Return a sentence with the processor, the versions, and how quiet the machine was."""
    facts: dict[str, Any] = {}
    for result in results:
        for runs in result.runs.values():
            facts |= runs[-1]["facts"]
    versions = [f"{name} {facts[name]}" for name in VERSIONS if name in facts]
    machine = f"{os.cpu_count()} cores of {facts.get('processor')} ({facts.get('instruction_set')})"
    return ". ".join([f"{machine}, {', '.join(versions)}", *quietness(results)]) + "."


def as_json(results: Results) -> dict[str, Any]:
    """Return settings, measurements with versions and processor, and ratios to the baseline."""
    return {
        "settings": asdict(results.settings),
        "runs": results.runs,
        "missing": results.missing,
        f"ratio_to_{BASELINE_CONTENDER}": {name: r._asdict() for name, r in ratios(results).items()},
    }
