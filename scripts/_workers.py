"""Run work in a separate process, so that a hang or a crash does not affect other work.

A worker is a module that runs as ``python -m MODULE NAME --settings JSON`` and ends with a call of ``serve``.
For each line of its standard input it prints one line of JSON: its next result, or {"reason"}.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

SCRIPTS_FOLDER = Path(__file__).resolve().parent
Answer = dict[str, Any]


def ask(
    module: str, name: str, settings: Any, timeout: float, variables: Mapping[str, str] | None = None
) -> Iterator[Answer]:
    """Yield a worker's answers until it ends. Each answer is computed on demand.

    The last answer is {"reason"} if the worker fails or has computed for more than ``timeout`` seconds.

    Args:
        settings: any JSON value.
        variables: the worker's environment; None: this process's environment.
    """
    with _start_worker(module, name, settings, variables) as (process, errors):
        left = timeout
        while True:
            begun = time.monotonic()
            answer = _read_answer(process, left)
            left -= time.monotonic() - begun
            if answer is None:
                if left <= 0:
                    yield {"reason": f"not done after {timeout:.0f} s"}
                elif process.wait():
                    yield _end_reason(process, errors)
                return
            yield answer
            if "reason" in answer:
                return


@contextlib.contextmanager
def _start_worker(
    module: str, name: str, settings: Any, variables: Mapping[str, str] | None
) -> Iterator[tuple[Any, IO[str]]]:
    """Start a worker; yield it and its standard error. On exit kill it with all processes it started."""
    environment = dict(os.environ if variables is None else variables)
    # Makes our modules importable even if the project is not installed.
    paths = [str(SCRIPTS_FOLDER), str(SCRIPTS_FOLDER.parent), environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    pipe: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
    command = [sys.executable, "-m", module, name, "--settings", json.dumps(settings)]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(command, stderr=errors, start_new_session=True, **pipe) as process,
    ):
        try:
            yield process, errors
        finally:
            _kill(process)


def _kill(process: Any) -> None:
    """Kill a worker and all processes of its session."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all processes have ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _read_answer(process: Any, timeout: float) -> Answer | None:
    """Return the next answer, or None if the worker has ended. Kill it after ``timeout`` seconds."""
    late = threading.Timer(timeout, _kill, (process,))
    late.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            os.write(process.stdin.fileno(), b"next\n")  # unbuffered
        for line in process.stdout:
            with contextlib.suppress(ValueError, TypeError):  # skip lines printed by libraries
                return dict(json.loads(line))
        return None
    finally:
        late.cancel()


def _end_reason(process: Any, errors: IO[str]) -> Answer:
    """Return the reason why a worker ended: its exit code and its last line on stderr."""
    errors.seek(0)
    last = (errors.read().strip().splitlines() or ["it printed nothing"])[-1]
    return {"reason": f"its process ended with code {process.wait()}: {last}"}


def serve(about: str | None, work: Callable[[str, str], Iterator[Answer]]) -> int:
    """Run this process as a worker: print the answers of ``work(name, settings)``; return the exit code.

    Args:
        about: description for --help.
        work: (name, settings as JSON text) -> iterator over the answers.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("name")
    parser.add_argument("--settings", default="{}", metavar="JSON")
    arguments = parser.parse_args()
    try:
        for _, found in zip(sys.stdin, work(arguments.name, arguments.settings), strict=False):
            print(json.dumps(found, default=str), flush=True)
    except Exception as error:  # libraries and drivers raise any type
        line = str(error).strip().partition("\n")[0]
        print(json.dumps({"reason": f"{type(error).__name__}: {line}"}), flush=True)
        return 1
    return 0
