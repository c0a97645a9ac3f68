"""Run all parts in turn, each within its time limit, and format their rows as tables."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from _workers import run_in_process

from dnn.commands.command_line import print_status
from gpu_checks.common import LIBRARIES, CheckOptions, row_holds
from gpu_checks.parts import BUDGET_SECONDS, PARTS, try_library, work

PartResult = dict[str, Any]
"""Result of a part: "seconds", "rows" by name, and "reason" if it was not completed."""


PROBE_SECONDS = 60


def find_obstacles(settings: CheckOptions) -> dict[str, str]:
    """Return library -> why it cannot use the card.

    Other processes find out: a card in exclusive mode admits one process, which later is a part's.
    """
    obstacles = {}
    for library in LIBRARIES:
        for answer in run_in_process(try_library, library, settings, timeout=PROBE_SECONDS):
            obstacles[library] = str(answer["reason"]).removeprefix("BackendUnavailable: ")
    return obstacles


def run_part(name: str, settings: CheckOptions, limit: float) -> PartResult:
    """Run one part in its own process. Rows that arrive before the time limit are kept."""
    start = time.perf_counter()
    outcome: PartResult = {"seconds": 0.0, "rows": {}}
    for answer in run_in_process(work, name, settings, timeout=limit):
        if "reason" in answer:
            outcome["reason"] = answer["reason"]
        else:
            outcome["rows"][answer["row"]] = answer["found"]
    outcome["seconds"] = time.perf_counter() - start
    return outcome


def run_parts(names: Sequence[str], settings: CheckOptions) -> Iterator[tuple[str, PartResult]]:
    """Yield (name, outcome) as each part ends.

    Parts get a reason instead of rows if the time budget is spent, or no library can use the card any more.
    """
    start = time.perf_counter()
    obstacle = ""
    for name in names:
        left = BUDGET_SECONDS - (time.perf_counter() - start)
        if left < 5:
            obstacle = obstacle or f"not started: {BUDGET_SECONDS} s are over"
        if obstacle:
            yield name, {"seconds": 0.0, "rows": {}, "reason": obstacle}
            continue
        print_status(f"{name} ...")
        outcome = run_part(name, settings, min(left, PARTS[name].seconds))
        yield name, outcome
        if not part_holds(outcome):
            obstacles = find_obstacles(settings)
            if len(obstacles) == len(LIBRARIES):
                why = "; ".join(obstacles.values())
                obstacle = f"skipped: since the part {name!r} the card cannot be used ({why})"


def table(outcomes: dict[str, PartResult]) -> str:
    """Return a line for each row of each part. Failures start with FAILED."""
    text = []
    for name, outcome in outcomes.items():
        text.append(f"{name}  ({outcome['seconds']:.0f} s)")
        for row, found in outcome["rows"].items():
            values = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in found.items())
            text.append(f"    {'' if row_holds(found) else 'FAILED: '}{row}: {', '.join(values)}")
        if "reason" in outcome:
            text.append(f"    FAILED: {outcome['reason']}")
    return "\n".join(text)


def part_holds(outcome: PartResult) -> bool:
    """Return whether a part was completed and all its rows passed."""
    return "reason" not in outcome and all(map(row_holds, outcome["rows"].values()))


def what_to_send(outcomes: dict[str, PartResult], json_file: object) -> str:
    """Return what a report of this run contains."""
    file = f"the file {json_file}" if json_file else "the file of a run with --json gpu.json"
    text = f"To report this run, send {file}, everything printed above, and the output of doctor.py.\n"
    failed = ",".join(name for name, outcome in outcomes.items() if not part_holds(outcome))
    if failed:
        text += f"These parts failed: {failed}. Run them alone with --parts {failed}, and send all output.\n"
    return text
