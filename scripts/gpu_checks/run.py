"""Run all parts in turn, each within its time limit, and format their rows as tables."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from _tables import markdown
from _workers import run_in_process

from dnn.commands.command_line import say
from gpu_checks.common import Settings, row_holds
from gpu_checks.forms import FORMS
from gpu_checks.parts import BUDGET_SECONDS, PARTS, work

Outcome = dict[str, Any]
"""Result of a part: "seconds", "rows" by name, and "reason" if it was not completed."""


def run_part(name: str, settings: Settings, limit: float) -> Outcome:
    """Run one part in its own process. Rows that arrive before the time limit are kept."""
    start = time.perf_counter()
    outcome: Outcome = {"seconds": 0.0, "rows": {}}
    for answer in run_in_process(work, name, settings, timeout=limit):
        if "reason" in answer:
            outcome["reason"] = answer["reason"]
        else:
            outcome["rows"][answer["row"]] = answer["found"]
    outcome["seconds"] = time.perf_counter() - start
    return outcome


def run_parts(names: Sequence[str], settings: Settings) -> Iterator[tuple[str, Outcome]]:
    """Yield (name, outcome) as each part ends. Parts beyond the time budget get a reason instead of rows."""
    start = time.perf_counter()
    for name in names:
        left = BUDGET_SECONDS - (time.perf_counter() - start)
        if left < 5:
            yield name, {"seconds": 0.0, "rows": {}, "reason": f"not started: {BUDGET_SECONDS} s are over"}
            continue
        say(f"{name} ...")
        yield name, run_part(name, settings, min(left, PARTS[name].seconds))


def _lines(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _lines(f"{name}  {key}" if name else str(key), inner)
    elif isinstance(value, float):
        yield name, f"{value:.4g}"
    elif isinstance(value, str) and "\n" in value:
        yield name, "(see the JSON)"
    else:
        yield name, str(value)


def table(outcomes: dict[str, Outcome]) -> str:
    """Return the rows of each part as text, one line per number. Failures start with FAILED."""
    text = []
    for name, outcome in outcomes.items():
        text.append(f"{name}  ({outcome['seconds']:.0f} s)")
        for row, found in outcome["rows"].items():
            if not row_holds(found):
                text.append(f"    FAILED: {row}: {found.get('reason', 'see the next lines')}")
            text += [f"    {key:<60} {value}" for key, value in _lines(row, found)]
        if "reason" in outcome:
            text.append(f"    FAILED: {outcome['reason']}")
    return "\n".join(text)


SUMMARY_COLUMNS = (
    ("form that ran", "forms", "form", ""),
    ("us", "forms", "us", ".0f"),
    ("first after s", "forms", "first update after s", ".1f"),
    ("same bits twice", "forms", "bits of two runs", ""),
    ("train.py: first after s", "full_runs", "seconds_to_first_update", ".1f"),
    ("ms", "full_runs", "ms_per_update", ".3f"),
    ("accuracy", "full_runs", "test_accuracy", ".4f"),
)
"""(heading, part, name of the number in the part's rows, format)."""


def summary(outcomes: dict[str, Outcome]) -> str:
    """Return the Markdown table for docs/gpu.md: a line for each of FORMS, a dash for missing results."""
    lines = [["updates", *(heading for heading, *_ in SUMMARY_COLUMNS)]]
    for form in FORMS:
        cells = [form]
        for _, part, name, pattern in SUMMARY_COLUMNS:
            value = outcomes.get(part, {}).get("rows", {}).get(form, {}).get(name)
            cells.append("-" if value is None else format(value, pattern))
        lines.append(cells)
    return markdown(lines)


def holds(outcomes: dict[str, Outcome]) -> bool:
    """Return whether every part was completed and all its rows passed."""
    return all("reason" not in o and all(map(row_holds, o["rows"].values())) for o in outcomes.values())
