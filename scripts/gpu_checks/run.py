"""Runs all parts one after the other, each within its time limit, and makes a table of their results."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from _workers import ask

from gpu_checks.common import Settings
from gpu_checks.parts import BUDGET_S, PARTS

Outcome = dict[str, Any]  # seconds, and result or reason


def run_part(name: str, settings: Settings, limit: float) -> Outcome:
    """One part in a process of its own."""
    start = time.perf_counter()
    outcome = ask("gpu_checks.parts", name, asdict(settings), limit)
    return {"seconds": time.perf_counter() - start, **outcome}


def run_parts(
    names: Sequence[str],
    settings: Settings,
    told: Callable[[str], object] = lambda line: None,
    one: Callable[[str, Settings, float], Outcome] = run_part,
) -> Iterator[tuple[str, Outcome]]:
    """(name, outcome) as each part ends; what the budget leaves no time for says so."""
    start = time.perf_counter()
    for name in names:
        left = BUDGET_S - (time.perf_counter() - start)
        if left < 5:
            yield name, {"seconds": 0.0, "reason": f"not begun: {BUDGET_S} s are over"}
            continue
        told(f"{name} ...")
        yield name, one(name, settings, min(left, PARTS[name].seconds))


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
    """The results of each part, a line for each number."""
    text = []
    for name, outcome in outcomes.items():
        text.append(f"{name}  ({outcome['seconds']:.0f} s)")
        if "reason" in outcome:
            text.append(f"    FAILED: {outcome['reason']}")
            continue
        text += [f"    {key:<60} {value}" for key, value in _lines("", outcome["result"])]
    return "\n".join(text)


ROWS = {
    "CuPy, layer by layer": ("speed_cupy", "layers", None),
    "CuPy, planned, 7 launches": ("speed_cupy", "launches", "cupy"),
    "CuPy, one graph": ("speed_cupy", "graph of 25", "cupy graphs"),
    "torch, layer by layer": ("speed_torch", "layers", "torch"),
    "torch, one graph": ("speed_torch", "graph of 25", "torch graphs"),
    "native PyTorch, eager": ("speed_native", "pytorch", None),
    "native PyTorch, fused Adam": ("speed_native", "pytorch-fused", None),
    "native PyTorch, a graph": ("speed_native", "pytorch-graph", None),
    "native PyTorch, torch.compile": ("speed_compile", "torch-compile", None),
}
"""Line of the table -> the part that timed it, its name there, and the run of train.py."""


def summary(outcomes: dict[str, Outcome]) -> str:
    """The table for docs/gpu.md; a dash where nothing was measured."""

    def number(part: str, *path: str, form: str = ".0f") -> str:
        found: Any = outcomes.get(part, {}).get("result", {})
        for key in path:
            found = found.get(key, {}) if isinstance(found, dict) else {}
        return format(found, form) if isinstance(found, float) else "-"

    heads = "updates", "us, float32", "us, TF32", "first update after s", "accuracy of 6000"
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for label, (part, name, run) in ROWS.items():
        native = part in ("speed_native", "speed_compile")
        times = [number(part, name if native else f"{p} {name}", "us") for p in ("float32", "tf32")]
        times = [times[0], "-"] if native else times
        first = number("full_runs", str(run), "seconds_to_first_update", form=".1f")
        accuracy = number("full_runs", str(run), "test_accuracy", form=".4f")
        lines.append(f"| {' | '.join((label, *times, first, accuracy))} |")
    return "\n".join(lines)


def holds(outcomes: dict[str, Outcome]) -> bool:
    """Whether every part ran and nothing that must hold is broken."""
    return all("result" in o and o["result"].get("holds", True) for o in outcomes.values())
