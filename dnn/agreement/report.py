"""Reports of the records: a verdict and a table for people, JSON for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from dnn.agreement.records import PLANNED, Record, worst_record
from dnn.io import json_text
from dnn.io.tables import format_columns
from dnn.typing import Json

TITLES = {
    "L0": "L0 activations, kernels", "L1": "L1 layers", "L2": "L2 networks", "L3": "L3 optimizer steps",
    "L4": "L4 trainings", "L5": "L5 accuracy", "bits": "bits of weights",
}  # fmt: skip
Groups = Mapping[tuple[str, str], Sequence[Record]]
"""(level, backend) -> its records."""


def _amount(record: Record) -> str:
    """Return by how much a broken record exceeds its bound, or why its arrays cannot be compared."""
    if record.measured == float("inf") and record.note:
        return f" ({record.note})"
    return " differs" if record.bound == 0.0 else f", {record.ratio:.3g} x its bound"


def _share(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10.0 else f"{ratio:.1e}"


def verdict(groups: Groups) -> str:
    """Return whether all bounds hold, and the worst comparison of each level and backend that breaks one."""
    lines = list[str]()
    n_broken = 0
    for (level, backend), group in groups.items():
        if n := sum(not record.holds for record in group):
            worst = worst_record(group)
            more = f"; and {n - 1} more" if n > 1 else ""
            lines.append(f"{level} {backend} {worst.case}: {worst.tensor}{_amount(worst)}{more}")
        n_broken += n
    count = sum(map(len, groups.values()))
    head = f"{n_broken} of {count} comparisons are broken:" if lines else f"all {count} comparisons hold"
    return "\n".join([head, *lines])


def table(records: Sequence[Record], missing: Mapping[str, str]) -> str:
    """Return the verdict, the worst error of each level and backend as a share of its bound, what could not
    run, and the hashes.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    notes: dict[str, list[str]] = {}
    for record in sorted(records, key=lambda record: record.level):
        groups.setdefault((record.level, record.backend), []).append(record)
        if record.level in ("L5", "bits"):
            notes.setdefault(f"{record.case}: {record.note}", []).append(record.backend)
    backends = list(dict.fromkeys(backend for _, backend in groups))
    rows = [("worst error / bound", "comparisons", *backends)]
    for level in dict.fromkeys(level for level, _ in groups):
        found = [groups.get((level, backend), []) for backend in backends]
        shares = (_share(worst_record(group).ratio) if group else "-" for group in found)
        rows.append((TITLES[level], f"{sum(map(len, found))}", *shares))
    lines = [verdict(groups), "", format_columns(rows), ""]
    plans = [record for record in records if record.tensor == "plan"]
    for backend, n in Counter(record.backend for record in plans).items():
        ran = sum(record.note == PLANNED for record in plans if record.backend == backend)
        lines.append(f"{backend}: {ran} of {n} fits of dense networks ran as plans")
    lines += [f"not run: {name}: {why}" for name, why in missing.items()]
    lines += [f"{', '.join(names)}, {note}" for note, names in notes.items()]
    return "\n".join(lines)


def as_json(records: Sequence[Record], missing: Json, asked: Json, about: Json) -> str:
    """Return the arguments, the versions and settings of the backends, what could not run, and every
    record.
    """
    content = {
        "holds": all(record.holds for record in records),
        "asked": asked,
        "backends": about,
        "not_run": missing,
        "records": [{**asdict(record), "verdict": record.verdict} for record in records],
    }
    return json_text.as_json(content, indent=1) + "\n"
