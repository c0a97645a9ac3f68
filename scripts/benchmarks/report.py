"""What a person sees: tables, JSON, and a picture."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import saving
from benchmarks.contenders import get_contender
from benchmarks.ratios import MEMORY_MB, Spread, judge, memory, ratio, spread
from benchmarks.rotation import Results
from benchmarks.sweep import Sweep, exponent, larger_half

BASELINE = "pytorch"
COLOURS = {"ours": "tab:blue", "peer": "tab:orange", "floor": "tab:gray"}


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


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A table as text; all but the first ``left`` columns are right-justified."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, heading in enumerate(headings):
        grid.add_column(heading, justify="left" if i < left else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    console = Console(width=160, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(grid)
    return "\n".join(line.rstrip() for line in capture.get().splitlines() if line.strip())


def _between(s: Spread, digits: int = 2) -> str:
    return f"{s.median:.{digits}f}  ({s.low:.{digits}f} to {s.high:.{digits}f})"


def by_time(results: Results) -> list[str]:
    """The contenders that ran, the fastest first."""
    return sorted(results.runs, key=lambda name: spread(results.ms(name)).median)


def _missing(results: Results) -> list[str]:
    return [f"not run: {name}: {why}" for name, why in results.missing.items()]


def table(results: Results) -> str:
    """Each contender, the fastest first; then who could not run and why; then what must hold."""
    rows = []
    for name in by_time(results):
        runs = results.runs[name]
        against = "-"
        if BASELINE in results.runs:
            against = _between(ratio(results.ms(name), results.ms(BASELINE)))
        last = runs[-1]
        accuracy = f"{last['test_accuracy']:.4f}" if "test_accuracy" in last else "-"
        prepared = spread([run["preparation"] for run in runs]).median
        peak = max(run["peak_mb"] for run in runs)
        label = get_contender(name).label
        rows.append(
            [
                name,
                label,
                _between(spread(results.ms(name)), 3),
                against,
                f"{prepared:.1f}",
                f"{peak:.0f}",
                accuracy,
            ]
        )
    headings = ["contender", "", "ms an update", f"ratio to {BASELINE}", "prepare s", "peak MB", "accuracy"]
    text = [_grid(headings, rows, left=2), *_missing(results)]
    judged = judge(results)
    if any(line.ratio for line in judged):
        needs = [
            [j.ours, j.theirs, _between(j.ratio) if j.ratio else "-", f"{j.bound:.2f}", j.verdict]
            for j in judged
        ]
        text += ["", _grid(["ours", "against", "ratio in a rotation", "at most", "verdict"], needs, left=2)]
    above = memory(results)
    if above is not None:
        verdict = "holds" if above <= MEMORY_MB else "MISSED"
        text.append(
            f"numpy: {above:.0f} MB above importing torch and torchvision, at most {MEMORY_MB}: {verdict}"
        )
    return "\n".join(text)


def as_json(results: Results) -> str:
    """Everything: machine, settings, each measurement, ratios to the baseline, what must hold."""
    against = {}
    if BASELINE in results.runs:
        base = results.ms(BASELINE)
        against = {n: ratio(results.ms(n), base)._asdict() for n in results.runs}
    judged = [
        {**j._asdict(), "ratio": j.ratio._asdict() if j.ratio else None, "verdict": j.verdict}
        for j in judge(results)
    ]
    content = {
        "machine": machine(),
        "settings": asdict(results.settings),
        "runs": results.runs,
        "missing": results.missing,
        f"ratio_to_{BASELINE}": against,
        "must_hold": judged,
        "numpy_mb_above_imports": memory(results),
    }
    return json.dumps(content, indent=1) + "\n"


def profile_table(profile: dict[str, Any]) -> str:
    """One of our updates, part by part."""
    total = profile["total"]
    rows = [[part, f"{ms:.3f}", f"{ms / total:.0%}"] for part, ms in profile["parts"].items()]
    rows.append(["update", f"{total:.3f}", "100%"])
    rows.append(["without the clocks", f"{profile['plain']:.3f}", ""])
    return _grid([profile["name"], "ms", "share"], rows)


def saving_table(seconds: dict[str, list[float]]) -> str:
    """How long trainings take that save, beside one that never does."""
    never = statistics.median(seconds["never"])
    rows = [["never", f"{never:.2f}", "", "", ""]]
    for way, found in saving.cost(seconds).items():
        more = [f"{100 * (value - 1):+.1f} %" for value in found]
        bound = saving.BOUNDS[way]
        rows.append(
            [
                way,
                f"{statistics.median(seconds[way]):.2f}",
                f"{more[0]} ({more[1]} to {more[2]})",
                f"under {100 * (bound - 1):.0f} %",
                "holds" if found.median < bound else "MISSED",
            ]
        )
    return _grid(["a state is saved", "s", "time more", "aim", ""], rows)


def sweep_table(sweep: Sweep) -> str:
    """Milliseconds an update or epoch, microseconds an example, and the exponents."""
    times = {name: sweep.times(name) for name in sweep.names()}
    rows = []
    for value, results in sweep.at.items():
        examples = value if sweep.kind == "samples" else results.settings.batch
        cells = [
            f"{t[value]:.3f} / {1e3 * t[value] / examples:.2f}" if value in t else "-" for t in times.values()
        ]
        rows.append([str(value), *cells])
    for label, part in (("exponent", dict), ("larger half", larger_half)):
        slopes = [exponent(part(t)) for t in times.values()]
        rows.append([label, *("-" if s is None else f"{s:.2f}" for s in slopes)])
    missing = dict.fromkeys(line for results in sweep.at.values() for line in _missing(results))
    head = f"{sweep.unit} / microseconds an example"
    return "\n".join([head, _grid([sweep.kind, *times], rows), *missing])


def sweep_json(sweep: Sweep) -> str:
    """Every measurement of a sweep, and the exponents."""
    content = {
        "machine": machine(),
        "sweep": sweep.kind,
        "exponents": {n: exponent(sweep.times(n)) for n in sweep.names()},
        "exponents_larger_half": {n: exponent(larger_half(sweep.times(n))) for n in sweep.names()},
        "at": {
            str(value): {"settings": asdict(r.settings), "runs": r.runs, "missing": r.missing}
            for value, r in sweep.at.items()
        },
    }
    return json.dumps(content, indent=1) + "\n"


def _figure(height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw(results: Results, path: Path) -> None:
    """A bar for each contender, the fastest on top: the median, and a line from least to greatest."""
    names = by_time(results)
    figure = _figure(1.4 + 0.36 * len(names))
    axes = figure.subplots()
    seen = set()
    longest = 0.0
    for i, name in enumerate(names):
        s = spread(results.ms(name))
        contender = get_contender(name)
        label = (
            None
            if contender.kind in seen
            else {"peer": "others", "floor": "products alone"}.get(contender.kind, "ours")
        )
        seen.add(contender.kind)
        axes.barh(
            i, s.median, xerr=[[s.median - s.low], [s.high - s.median]], color=COLOURS[contender.kind],
            height=0.7, capsize=3, label=label, error_kw={"lw": 1},
        )  # fmt: skip
        axes.text(s.high, i, f"  {s.median:.2f}", va="center", fontsize=9)
        longest = max(longest, s.high)
    axes.set_yticks(range(len(names)), [get_contender(name).label for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 1.12 * longest)
    axes.set_xlabel("ms an update: median over the rotations, and their spread")
    used = results.settings
    axes.set_title(
        f"hidden layers {', '.join(map(str, used.hidden))}, batch {used.batch}, Adam, float32", fontsize=10
    )
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(loc="upper right")
    figure.savefig(path, dpi=120)


def draw_sweep(sweep: Sweep, path: Path) -> None:
    """A line for each contender, on logarithmic axes."""
    figure = _figure(5)
    axes = figure.subplots()
    for name in sweep.names():
        times = sweep.times(name)
        dashes = "--" if get_contender(name).kind == "floor" else "-"
        axes.plot(list(times), list(times.values()), "o" + dashes, ms=4, label=get_contender(name).label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(sweep.at), [str(value) for value in sweep.at])
    axes.minorticks_off()
    axes.set_xlabel(sweep.kind)
    axes.set_ylabel(sweep.unit)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=120)
