"""What a person sees of a rotation: a table, JSON and a picture."""

import os
import platform
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from _tables import columns

from benchmarks.contenders import get_contender
from benchmarks.quartiles import Spread, quartile, quartile_ratio
from benchmarks.ratios import MEMORY_MB, judge, memory, spread, verdict
from benchmarks.rotation import Results
from dnn.commands.figures import picture

BASELINE = "pytorch"
COLOURS = {
    "ours": ("tab:blue", "ours"), "peer": ("tab:orange", "others"), "floor": ("tab:gray", "products alone")
}  # fmt: skip


def machine() -> dict[str, Any]:
    """The processor, its cores that this process may use, the system, and how busy it is."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"processor": model, "cores": cores, "system": platform.system(), "load": load}


def _between(s: Spread, digits: int = 2) -> str:
    return f"{s.value:.{digits}f}  ({s.low:.{digits}f} to {s.high:.{digits}f})"


def table(results: Results) -> str:
    """Each contender, the fastest first; then who could not run and why; then what must hold."""
    rows = []
    for name in results.names():
        ms = results.ms(name)
        runs = results.runs[name]
        accuracy = runs[-1].get("test_accuracy")
        peaks = [run["peak_mb"] for run in runs if run["peak_mb"] is not None]
        rows.append([
            name,
            get_contender(name).label,
            _between(quartile(ms), 3),
            _between(quartile_ratio(ms, results.ms(BASELINE))) if BASELINE in results.runs else "-",
            f"{spread([run['preparation'] for run in runs]).value:.1f}",
            f"{max(peaks):.0f}" if peaks else "-",
            "-" if accuracy is None else f"{accuracy:.4f}",
        ])  # fmt: skip
    headings = ["contender", "", "ms an update", f"ratio to {BASELINE}", "prepare s", "peak MB", "accuracy"]
    text = [columns(headings, rows, 2, ruled=True), *results.not_run(), *quietness(results)]
    judged = judge(results)
    if any(line.ratio for line in judged):
        needs = [
            [j.ours, j.theirs, _between(j.ratio) if j.ratio else "-", f"{j.bound:.2f}", j.verdict]
            for j in judged
        ]
        headings = ["ours", "against", "ratio of quartiles", "at most", "verdict"]
        text += ["", columns(headings, needs, 2, ruled=True)]
    if (above := memory(results)) is not None:
        text.append(
            f"numpy: {above:.0f} MB above importing torch and torchvision, at most {MEMORY_MB}: "
            f"{verdict(above <= MEMORY_MB)}"
        )
    return "\n".join(text)


QUIET = 0.1
"""Cores that may work for others where a machine is called quiet."""


def quietness(results: Results) -> list[str]:
    """A line on what else the machine did while the slices were timed; none where that was not told."""
    others = [run["other"] for runs in results.runs.values() for run in runs if run.get("other") is not None]
    if not others:
        return []
    cores = statistics.fmean(others)
    word = "quiet" if cores <= QUIET else "NOT QUIET: compare ratios alone, and those with care"
    return [f"beside the slices {cores:.2f} cores worked for others on average: {word}"]


def as_json(results: Results) -> dict[str, Any]:
    """Everything: machine, settings, each measurement, ratios to the baseline, what must hold."""
    base = results.ms(BASELINE) if BASELINE in results.runs else None
    return {
        "machine": machine(),
        "settings": asdict(results.settings),
        "runs": results.runs,
        "missing": results.missing,
        f"ratio_to_{BASELINE}": {
            n: quartile_ratio(results.ms(n), base)._asdict() for n in results.runs if base
        },
        "must_hold": [
            {**j._asdict(), "ratio": j.ratio._asdict() if j.ratio else None, "verdict": j.verdict}
            for j in judge(results)
        ],
        "numpy_mb_above_imports": memory(results),
    }


def draw(results: Results, path: Path) -> None:
    """A bar for each contender, the fastest on top: the lower quartile and its interval."""
    used = results.settings
    seen = set()
    bars = [(get_contender(name), quartile(results.ms(name))) for name in results.names()]
    with picture(path, 9, 1.4 + 0.36 * len(bars)) as figure:
        axes = figure.subplots()
        for i, (contender, s) in enumerate(bars):
            colour, label = COLOURS[contender.kind]
            axes.barh(
                i, s.value, xerr=[[s.value - s.low], [s.high - s.value]], color=colour, height=0.7,
                capsize=3, label=None if label in seen else label, error_kw={"lw": 1},
            )  # fmt: skip
            seen.add(label)
            axes.text(s.high, i, f"  {s.value:.2f}", va="center", fontsize=9)
        axes.set_yticks(range(len(bars)), [contender.label for contender, _ in bars])
        axes.set_ylim(len(bars) - 0.4, -0.6)
        axes.set_xlim(0, 1.12 * max(s.high for _, s in bars))
        axes.set_xlabel("ms an update: lower quartile of the slices, and its 95 % interval")
        hidden = ", ".join(map(str, used.hidden))
        axes.set_title(f"hidden layers {hidden}, batch {used.batch}, Adam, float32", fontsize=10)
        axes.grid(axis="x", alpha=0.3)
        axes.set_axisbelow(True)
        axes.legend(loc="upper right")
