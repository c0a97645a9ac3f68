"""Work in a process of its own, so that one that hangs or crashes leaves the others alone.

A worker is a module that is run as ``python -m MODULE NAME --settings JSON`` and ends with ``serve``. The
last line that it prints is JSON: what it found, or {"reason"}.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).resolve().parent
Answer = dict[str, Any]


class CannotRun(RuntimeError):
    """Something cannot run here; the message says why."""


def ask(
    module: str, name: str, settings: Any, timeout: float, variables: Mapping[str, str] | None = None
) -> Answer:
    """What a worker answers within ``timeout`` seconds; {"reason"} where it does not.

    The settings are anything that JSON holds, the variables its environment (None: this process's).
    """
    environment = dict(os.environ if variables is None else variables)
    # Our modules are found whether or not the project is installed.
    paths = [str(SCRIPTS), str(SCRIPTS.parent), environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    try:
        done = subprocess.run(
            [sys.executable, "-m", module, name, "--settings", json.dumps(settings)],
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
        last = (done.stderr.strip().splitlines() or ["it printed nothing"])[-1]
        return {"reason": f"its process ended with code {done.returncode}: {last}"}


def serve(about: str | None, work: Callable[[str, str], Answer]) -> int:
    """The worker's side: print what ``work`` finds for (name, settings as JSON); returns the exit code.

    --help says what it is ``about``.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("name")
    parser.add_argument("--settings", default="{}", metavar="JSON")
    arguments = parser.parse_args()
    try:
        found = work(arguments.name, arguments.settings)
    except Exception as error:  # whatever a foreign library or a driver raises is the reason
        lines = str(error).strip().splitlines() or [""]
        prefix = "" if isinstance(error, CannotRun) else f"{type(error).__name__}: "
        found = {"reason": prefix + lines[0]}
    print(json.dumps(found, default=str), flush=True)
    return 1 if "reason" in found else 0
