"""The report on a rotation, as a table and as JSON.

Other load on a machine only adds time, so lower quartiles of times are compared; medians of disturbed runs
depend on luck. The bootstrap resamples the rotations with replacement; the interval holds 95 % of the
results.
"""

import statistics
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np
from _tables import format_columns

from benchmarks.contenders import get_contender
from benchmarks.rotation import Results

BASELINE_CONTENDER = "pytorch"
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
    return "\n".join([format_columns(headings, rows, 2), *not_run, *quietness(results)])


def quietness(results: Results) -> list[str]:
    """Return a line about other load during the timed slices, or nothing if it is unknown."""
    others = [run["other"] for runs in results.runs.values() for run in runs if run["other"] is not None]
    if not others:
        return []
    cores = statistics.fmean(others)
    word = "quiet" if cores <= MAX_QUIET_CORES else "NOT QUIET: compare only ratios, and with care"
    return [f"other processes used {cores:.2f} cores on average during the slices: {word}"]


def as_json(results: Results) -> dict[str, Any]:
    """Return settings, measurements with versions and processor, and ratios to the baseline."""
    return {
        "settings": asdict(results.settings),
        "runs": results.runs,
        "missing": results.missing,
        f"ratio_to_{BASELINE_CONTENDER}": {name: r._asdict() for name, r in ratios(results).items()},
    }
