"""Reports of the records: a verdict and a table for people, JSON for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from dnn.agreement.records import Record, worst_record
from dnn.io import json_text
from dnn.io.tables import format_columns
from dnn.typing import Json

TITLES = {
    "L0": "L0 activations, kernels", "L1": "L1 layers", "L2": "L2 networks", "L3": "L3 optimizer steps",
    "L4": "L4 trainings", "L5": "L5 accuracy", "bits": "bits of weights", "replay": "replayed trainings",
}  # fmt: skip


def _amount(record: Record) -> str:
    """Return by how much a broken record exceeds its bound, or why its arrays cannot be compared."""
    if record.measured == float("inf") and record.note:
        return f" ({record.note})"
    return " differs" if record.bound == 0.0 else f", {record.ratio:.3g} x its bound"


def table(records: Sequence[Record], missing: Mapping[str, str]) -> str:
    """Return the verdict with the worst broken comparison of each level and backend, the worst error of each
    as a share of its bound, what could not run, and the hashes.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    notes: dict[str, list[str]] = {}
    for record in records:
        groups.setdefault((record.level, record.backend), []).append(record)
        if record.level in ("L5", "bits"):
            notes.setdefault(f"{record.case}: {record.note}", []).append(record.backend)
    count = len(records)
    broken = sum(not record.holds for record in records)
    lines = [f"{broken} of {count} comparisons are broken:" if broken else f"all {count} comparisons hold"]
    worst = {key: worst_record(group) for key, group in groups.items()}
    for (level, backend), record in worst.items():
        n = sum(not r.holds for r in groups[level, backend])
        more = f"; and {n - 1} more" if n > 1 else ""
        if n:
            lines.append(f"{level} {backend} {record.case}: {record.tensor}{_amount(record)}{more}")
    backends = list(dict.fromkeys(record.backend for record in records))
    rows = [("worst error / bound", "comparisons", *backends)]
    for level, n in Counter(record.level for record in records).items():
        shares = (f"{worst[level, b].ratio:.2g}" if (level, b) in worst else "-" for b in backends)
        rows.append((TITLES[level], f"{n}", *shares))
    lines += ["", format_columns(rows), ""]
    plans = Counter(r.backend for r in records if r.tensor == "planned" and r.holds)
    lines += [f"{backend}: {n} fits ran as plans" for backend, n in plans.items()]
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
        "records": [
            {**asdict(record), "verdict": "holds" if record.holds else "broken"} for record in records
        ],
    }
    return json_text.as_json(content, indent=1) + "\n"
