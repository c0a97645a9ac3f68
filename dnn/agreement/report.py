"""What a person sees: a table, a JSON file, and two pictures."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from backends import InputError
from dnn.agreement.records import Record, worst
from dnn.io.atomic_files import write_atomically

REPORT, BOUNDS, DRIFT = "report.json", "agreement-bounds.png", "agreement-drift.png"


def verdict(records: Sequence[Record]) -> str:
    """The last line: all hold, or which bounds are broken, the worst first."""
    broken = sorted((r for r in records if not r.holds), key=lambda r: -r.ratio)
    if not broken:
        return f"all {len(records)} comparisons hold"
    names = [
        f"{r.level} {r.backend} {r.case}: {r.tensor}"
        + (f" ({r.note})" if r.measured == float("inf") and r.note else f" {r.ratio:.3g} x its bound")
        for r in broken[:5]
    ]
    more = f"; and {len(broken) - 5} more" if len(broken) > 5 else ""
    return f"{len(broken)} of {len(records)} comparisons are broken: {'; '.join(names)}{more}"


def table(records: Sequence[Record], missing: Mapping[str, str]) -> str:
    """One line for each level and backend: its worst comparison; then what could not run; the verdict."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("level", "backend"):
        grid.add_column(heading, no_wrap=True)
    grid.add_column("comparisons", justify="right")
    grid.add_column("worst tensor", overflow="fold")
    for heading in ("measured", "bound", "ratio"):
        grid.add_column(heading, justify="right", no_wrap=True)
    grid.add_column("verdict", no_wrap=True)
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.level, record.backend), []).append(record)
    for (level, backend), group in sorted(groups.items(), key=lambda item: item[0][0]):
        far = worst(group)
        grid.add_row(
            level, backend, str(len(group)), f"{far.case}: {far.tensor}", f"{far.measured:.2e}",
            f"{far.bound:.2e}", f"{far.ratio:.2g}", far.verdict,
        )  # fmt: skip
    console = Console(width=120, color_system=None, force_terminal=False)
    with console.capture() as capture:
        console.print(grid)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    lines += [f"{r.backend}: {r.note}" for r in records if r.level == "L5"]
    lines += [f"not run: {name}: {why}" for name, why in missing.items()]
    return "\n".join([*lines, verdict(records)])


def as_json(
    records: Sequence[Record], missing: Mapping[str, str], asked: Mapping[str, Any], about: Mapping[str, Any]
) -> str:
    """Everything: what was asked, what ran on what, what could not, every record."""
    content = {
        "holds": all(record.holds for record in records),
        "asked": dict(asked),
        "backends": dict(about),
        "not_run": dict(missing),
        "records": [record.as_dict() for record in records],
    }
    return json.dumps(content, indent=1) + "\n"


def open_folder(path: str | Path) -> Path:
    """A new or empty folder for a report.

    Raises InputError: there is something in it already, or it cannot be made; nothing was changed.
    """
    folder = Path(path)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"report is {str(folder)!r}, which is not an empty folder; expected a new one")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"report is {str(folder)!r}, which cannot be made ({error.strerror})") from None
    return folder


def write(folder: Path, text: str, records: Sequence[Record], drifts: Mapping[str, Sequence[float]]) -> None:
    """report.json and the pictures, into a folder from ``open_folder``."""
    write_atomically(folder / REPORT, text.encode())
    draw_bounds(records, folder / BOUNDS)
    if drifts:
        draw_drift(drifts, folder / DRIFT)


class Named(Protocol):
    """What has a line: a record, or a pair of bounds."""

    @property
    def level(self) -> str: ...
    @property
    def case(self) -> str: ...
    @property
    def tensor(self) -> str: ...


def row_name(r: Named) -> str:
    """The line of the picture: cases share tensors, layers and batches with other numbers share a line."""
    if r.level != "L0":
        return f"{r.level}  {re.sub('[_ ][0-9]+', '', r.tensor)}"
    return (
        f"L0  {r.case} {r.tensor}"
        if r.case in ("unary", "exact", "activation")
        else f"L0  {r.case.split()[0]}"
    )


def draw_bounds(records: Sequence[Record], path: Path) -> None:
    """measured / bound of every comparison, on a line for each level and kind of tensor; 1 is the limit."""
    from matplotlib.figure import Figure

    groups: dict[str, dict[str, list[float]]] = {}
    for r in records:
        ratio = min(max(r.ratio, 1e-8), 1e8)  # exactly 0 has no place on a logarithmic axis
        groups.setdefault(row_name(r), {}).setdefault(r.backend, []).append(ratio)
    rows = sorted(groups, key=lambda label: label[:2])
    figure = Figure(figsize=(9, 1.2 + 0.15 * len(rows)), layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(r.backend for r in records))
    for j, name in enumerate(names):
        shift = (j + 0.5) / len(names) - 0.5
        points = [(v, i + 0.7 * shift) for i, row in enumerate(rows) for v in groups[row].get(name, [])]
        axes.plot(*zip(*points, strict=True), ".", ms=4, alpha=0.7, label=name)
    axes.axvline(1.0, color="black", lw=1)
    axes.set_xscale("log")
    axes.set_xlabel("measured error / bound (beyond the black line a bound is broken; 0 is drawn at 1e-8)")
    axes.set_yticks(range(len(rows)), rows, fontsize=7)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside upper center", ncols=len(names), fontsize=8)
    figure.savefig(path, dpi=110)


def draw_drift(drifts: Mapping[str, Sequence[float]], path: Path) -> None:
    """How float32 trajectories leave the float64 oracle, step by step."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    for i, (name, line) in enumerate(drifts.items()):
        steps = range(1, len(line) + 1)
        # Some coincide; narrower lines on top of wider ones keep both visible.
        axes.plot(steps, line, lw=1.2 + 0.7 * (len(drifts) - i), alpha=0.8, label=name)
    axes.set(xlabel="update (float32, relu, cross-entropy, Adam)", yscale="log")
    axes.set_ylabel("distance from the oracle / oracle's way")
    axes.set_title("Right programs drift apart in float32: shown, not judged", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
