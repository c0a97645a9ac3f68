"""The report on a benchmark, as tables and as JSON.

Other load on a machine only adds time, so lower quartiles of times are compared; medians of disturbed runs
depend on luck. The bootstrap resamples the rotations with replacement; the interval holds 95 % of the
results.
"""

import os
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from _pages import Grid

from backends import get_backend
from benchmarks.contenders import PEAK, get_contender
from benchmarks.peers import PRODUCT_SIZE
from benchmarks.rotation import Results
from dnn.typing import Json

RIVALS = {
    "auto / our fastest": ("numba", "torch", "numpy"),
    "auto / PyTorch": ("pytorch", "pytorch-fused"),
    "auto / JAX": ("jax",),
}
"""Heading of a ratio -> contenders. The time of the backend of "auto" is divided by that of the fastest."""
VERSIONS = ("numpy", "numba", "torch", "jax")
N_RESAMPLES = 1000
MAX_QUIET_CORES = 0.1
"""Mean number of cores busy with other processes up to which the machine counts as quiet."""


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


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


def quartiles(results: Results) -> dict[str, Estimate]:
    """Return the lower quartile of each contender's milliseconds per update, the fastest contender first."""
    found = {name: lower_quartile(results.ms(name)) for name in results.runs}
    return dict(sorted(found.items(), key=lambda item: item[1]))


def speed_grid(results: Results, text: Callable[[Estimate], str]) -> Grid:
    """Return a table of all contenders, the fastest first; ``text`` formats a number."""
    ms = quartiles(results)
    grid = [["contender", "ms per update", "fastest time / this time"]]
    for name, estimate in ms.items():
        ratio = lower_quartile(results.ms(next(iter(ms))), results.ms(name))
        grid.append([get_contender(name).label, text(estimate), text(ratio)])
    return grid


def workloads_grid(results: Mapping[str, Results]) -> Grid:
    """Return a table of all workloads: milliseconds per update, and the ratios of what "auto" takes.

    The share of the peak is the rate of an update's products over that of a product of two large matrices.
    """
    names = list(dict.fromkeys(name for result in results.values() for name in result.runs))
    names = [name for name in names if name != PEAK]
    ratios = ["auto takes", *RIVALS, "auto: share of peak"]
    grid = [["ms per update", *(get_contender(name).label for name in names), *ratios]]
    for workload, result in results.items():
        ms = quartiles(result)
        cpu_first = "numba" if result.settings.is_dense else "torch"
        auto = get_backend("auto", "cpu", cpu_first=cpu_first).name
        cells = [f"{ms[name].value:.3g}" if name in ms else "-" for name in names]
        cells.append(auto)
        for rivals in RIVALS.values():
            theirs = [ms[name].value for name in rivals if name in ms]
            cells.append(f"{ms[auto].value / min(theirs):.2f}" if auto in ms and theirs else "-")
        if auto in ms and PEAK in ms:
            at_peak = ms[PEAK].value * result.settings.operations / (2 * PRODUCT_SIZE**3)
            cells.append(f"{at_peak / ms[auto].value:.2f}")
        else:
            cells.append("-")
        grid.append([workload, *cells])
    return grid


def describe(results: Sequence[Results]) -> str:
    """Return sentences with processor and versions, what did not run, and how quiet the machine was."""
    runs = {name: run for result in results for name, run in result.runs.items()}
    missing = {name: why for result in results for name, why in result.missing.items() if name not in runs}
    facts: Json = {}
    for run in runs.values():
        facts |= run[-1]["facts"]
    versions = [f"{name} {facts[name]}" for name in VERSIONS if name in facts]
    machine = f"{os.cpu_count()} cores of {facts.get('processor')} ({facts.get('instruction_set')})"
    sentences = [f"{machine}, {', '.join(versions)}."]
    sentences += [f"Not run: {name} ({why})." for name, why in missing.items()]
    slices = [answer["other"] for result in results for run in result.runs.values() for answer in run]
    others = [cores for cores in slices if cores is not None]
    if others:
        cores = statistics.fmean(others)
        word = "quiet" if cores <= MAX_QUIET_CORES else "NOT QUIET: compare only ratios, and with care"
        sentences.append(f"Other processes used {cores:.2f} cores on average during the slices: {word}.")
    return " ".join(sentences)
