"""The report on a rotation, as a table and as JSON."""

import statistics
from dataclasses import asdict
from typing import Any

from _tables import format_columns

from benchmarks.contenders import get_contender
from benchmarks.ratios import quartile, quartile_ratio
from benchmarks.rotation import Results

BASELINE_CONTENDER = "pytorch"
MAX_QUIET_CORES = 0.1
"""Mean number of cores busy with other processes up to which the machine counts as quiet."""


def table(results: Results) -> str:
    """Return the table: contenders (fastest first), contenders that could not run and why."""
    rows = []
    for name in results.names():
        ms = results.ms(name)
        last = results.runs[name][-1]
        accuracy = last["test_accuracy"]
        ratio = (
            str(quartile_ratio(ms, results.ms(BASELINE_CONTENDER)))
            if BASELINE_CONTENDER in results.runs
            else "-"
        )
        cells = [str(quartile(ms)), ratio, f"{last['preparation']:.1f}"]
        cells.append(f"{accuracy:.4f}")
        rows.append([name, get_contender(name).label, *cells])
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
    base = results.ms(BASELINE_CONTENDER) if BASELINE_CONTENDER in results.runs else None
    ratios = {n: quartile_ratio(results.ms(n), base)._asdict() for n in results.runs if base}
    return {
        "settings": asdict(results.settings),
        "runs": results.runs,
        "missing": results.missing,
        f"ratio_to_{BASELINE_CONTENDER}": ratios,
    }
