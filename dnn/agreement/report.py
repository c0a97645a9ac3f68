"""Reports of the records: a table with a verdict for people, JSON for programs."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from dnn.agreement.records import PLANNED, Record, worst_record
from dnn.io import json_text
from dnn.io.tables import format_columns
from dnn.typing import Json

HEADINGS = ("level", "backend", "verdict", "comparisons", "measured", "bound", "ratio", "worst tensor")


def _amount(record: Record) -> str:
    """Return by how much a broken record exceeds its bound, or why its arrays cannot be compared."""
    if record.measured == float("inf") and record.note:
        return f" ({record.note})"
    return " differs" if record.bound == 0.0 else f" {record.ratio:.3g} x its bound"


def verdict(records: Sequence[Record]) -> str:
    """Return the last line of the table: all bounds hold, or the broken ones, worst first, at most five."""
    broken = sorted((r for r in records if not r.holds), key=lambda r: -r.ratio)
    if not broken:
        return f"all {len(records)} comparisons hold"
    names = [f"{r.level} {r.backend} {r.case}: {r.tensor}" + _amount(r) for r in broken[:5]]
    more = f"; and {len(broken) - 5} more" if len(broken) > 5 else ""
    return f"{len(broken)} of {len(records)} comparisons are broken: {'; '.join(names)}{more}"


def table(records: Sequence[Record], missing: Mapping[str, str]) -> str:
    """Return a table with the worst comparison of each level and backend, what could not run, and the
    verdict.
    """
    groups: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.level, record.backend), []).append(record)
    rows = [HEADINGS]
    for (level, backend), group in sorted(groups.items(), key=lambda item: item[0][0]):
        record = worst_record(group)
        numbers = f"{record.measured:.2e}", f"{record.bound:.2e}", f"{record.ratio:.2g}"
        where = f"{record.case}: {record.tensor}"
        rows.append((level, backend, record.verdict, f"{len(group)}", *numbers, where))
    lines = [format_columns(rows, left=len(HEADINGS))]
    lines += [f"{r.backend}, {r.case}: {r.note}" for r in records if r.level in ("L5", "bits")]
    plans = [record for record in records if record.tensor == "plan"]
    for backend, n in Counter(record.backend for record in plans).items():
        ran = sum(record.note == PLANNED for record in plans if record.backend == backend)
        lines.append(f"{backend}: {ran} of {n} fits of dense networks ran as plans")
    lines += [f"not run: {name}: {why}" for name, why in missing.items()]
    return "\n".join([*lines, verdict(records)])


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
