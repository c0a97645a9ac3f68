"""Work in a process of its own, so that one that hangs or crashes leaves the others alone.

A worker is a module run by ``python -m``; the last line that it prints is JSON, what it found or {"reason"}.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent
Answer = dict[str, Any]


class CannotRun(RuntimeError):
    """Something cannot run here; the message says why."""


def ask(
    module: str, arguments: Sequence[str], timeout: float, variables: Mapping[str, str] | None = None
) -> Answer:
    """What a worker answers; {"reason"} where it does not.

    Args:
        timeout: seconds.
        variables: its environment; None: this process's.
    """
    environment = dict(os.environ if variables is None else variables)
    # Our modules are found whether or not the project is installed.
    paths = [str(SCRIPTS), str(SCRIPTS.parent), environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return {"reason": f"not done after {timeout:.0f} s"}
    lines = done.stdout.strip().splitlines()
    try:
        return dict(json.loads(lines[-1]))
    except (IndexError, ValueError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return {"reason": f"its process ended with code {done.returncode}: {last}"}


def answer(work: Callable[[], Answer]) -> int:
    """The worker's side: print what ``work`` returns, or why it failed; returns the exit code."""
    try:
        found = work()
    except Exception as error:  # whatever a foreign library or a driver raises is the reason
        lines = str(error).strip().splitlines() or [""]
        prefix = "" if isinstance(error, CannotRun) else f"{type(error).__name__}: "
        found = {"reason": prefix + lines[0]}
    print(json.dumps(found, default=str), flush=True)
    return 1 if "reason" in found else 0
