"""All contenders in turn, A B C A B C ..., each time in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dnn.benchmark.contenders import environment
from dnn.benchmark.settings import Settings
from dnn.processes import python_environment

ROOT = Path(__file__).resolve().parent.parent.parent
Measurement = dict[str, Any]  # what ``worker.measure`` returns


@dataclass
class Results:
    """What came of it.

    Attributes:
        settings: of all runs.
        runs: name -> a measurement for each rotation, in order, of those that ran in all of them.
        missing: name -> why it could not run.
    """

    settings: Settings
    runs: dict[str, list[Measurement]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def ms(self, name: str) -> list[float]:
        """Milliseconds an update, one number a rotation."""
        return [float(run["ms"]) for run in self.runs[name]]


def run_one(name: str, settings: Settings, timeout: float = 900.0) -> Measurement:
    """One contender in a process of its own: its measurement, or {"name", "reason"}."""
    command = [sys.executable, "-m", "dnn.benchmark.worker", name, "--settings", settings.as_json()]
    variables = python_environment(ROOT, environment(name, settings.threads))
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return {"name": name, "reason": f"not done after {timeout:.0f} s"}
    lines = done.stdout.strip().splitlines()
    try:
        answer = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"name": name, "reason": f"its process ended with code {done.returncode}: {last}"}
    return dict(answer)


def rotate(
    names: Sequence[str],
    settings: Settings,
    rotations: int,
    told: Callable[[str], object] = lambda line: None,
    run: Callable[[str, Settings], Measurement] = run_one,
) -> Results:
    """Each contender once a rotation; one that fails is left out from then on.

    Args:
        told: is called with a line after each run.
        run: measures one contender.
    """
    results = Results(settings, {name: [] for name in names})
    for rotation in range(1, rotations + 1):
        for name in list(results.runs):
            answer = run(name, settings)
            if "reason" in answer:
                del results.runs[name]
                results.missing[name] = answer["reason"]
                told(f"rotation {rotation}/{rotations}  {name}: {answer['reason']}")
            else:
                results.runs[name].append(answer)
                told(f"rotation {rotation}/{rotations}  {name}: {answer['ms']:.3f} ms an update")
    return results
