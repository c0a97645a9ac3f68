"""The tables of a benchmark.

Other load on a machine only adds time, so lower quartiles of times are compared; medians of disturbed runs
depend on luck.
"""

import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from backends import get_backend
from benchmarks.contenders import get_contender
from benchmarks.rotation import Results

Grid = list[list[str]]
BASELINES = ("pytorch", "pytorch-fused")
OURS = ("numba", "torch", "numpy")
VERSIONS = ("numpy", "numba", "torch", "jax", "scikit-learn")
MAX_QUIET_CORES = 0.1
"""Mean number of cores busy with other processes up to which the machine counts as quiet."""


def ratio_grid(results: Results) -> Grid:
    """Return a table of all contenders, the fastest first: the time, and numba's share of it."""
    ms = {name: results.quartile(name) for name in results.runs}
    grid = [["contender", "ms per update", "time on numba / this time"]]
    for name in sorted(ms, key=lambda name: ms[name]):
        grid.append([get_contender(name).label, f"{ms[name]:.2f}", _ratio(ms.get("numba"), ms[name])])
    return grid


def workloads_grid(results: Mapping[str, Results]) -> Grid:
    """Return a table of all workloads: milliseconds per update, and the ratios of what "auto" takes."""
    names = list(dict.fromkeys(name for result in results.values() for name in result.runs))
    ratios = ("auto takes", "auto / our fastest", "auto / PyTorch", "auto / JAX")
    grid = [["ms per update", *(get_contender(name).label for name in names), *ratios]]
    for workload, result in results.items():
        ms = {name: result.quartile(name) for name in result.runs}
        auto = get_backend("auto", "cpu", convolutions=bool(result.settings.filters)).name
        cells = [f"{ms[name]:.3g}" if name in ms else "-" for name in names]
        for rivals in (OURS, BASELINES, ("jax",)):
            best = min((ms[name] for name in rivals if name in ms), default=None)
            cells.append(_ratio(ms.get(auto), best))
        grid.append([workload, *cells[: len(names)], auto, *cells[len(names) :]])
    return grid


def _ratio(ours: float | None, theirs: float | None) -> str:
    return "-" if not (ours and theirs) else f"{ours / theirs:.2f}"


def describe(results: Sequence[Results]) -> str:
    """Return sentences with processor and versions, what did not run, and how quiet the machine was."""
    facts: dict[str, Any] = {}
    missing: dict[str, str] = {}
    ran: set[str] = set()
    others: list[float] = []
    for result in results:
        missing |= result.missing
        ran |= result.runs.keys()
        for runs in result.runs.values():
            facts |= runs[-1]["facts"]
            others += [run["other"] for run in runs if run["other"] is not None]
    versions = [f"{name} {facts[name]}" for name in VERSIONS if name in facts]
    machine = f"{os.cpu_count()} cores of {facts.get('processor')} ({facts.get('instruction_set')})"
    sentences = [f"{machine}, {', '.join(versions)}."]
    sentences += [f"Not run: {name} ({why})." for name, why in missing.items() if name not in ran]
    if others:
        cores = statistics.fmean(others)
        word = "quiet" if cores <= MAX_QUIET_CORES else "NOT QUIET: compare only ratios, and with care"
        sentences.append(f"Other processes used {cores:.2f} cores during the slices: {word}.")
    return " ".join(sentences)
