"""Work in a process of its own, so that one that hangs or crashes leaves the others alone.

A worker is a module that is run as ``python -m MODULE NAME --settings JSON`` and ends with ``serve``. The
last line that it prints is JSON: what it found, or {"reason"}.
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
    return next(ask_often(module, name, settings, timeout, 1, variables))


def ask_often(
    module: str,
    name: str,
    settings: Any,
    timeout: float,
    times: int,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Answer]:
    """As ``ask``, of one worker that stays and answers so often: whenever the next answer is taken."""
    with _started(module, name, settings, variables) as (process, errors):
        for left in reversed(range(times)):
            answer = _answer(process, timeout, "next" if left else LAST)
            yield _last_words(process, errors) if answer is None else answer


def ask_all(module: str, name: str, settings: Any, timeout: float) -> Iterator[Answer]:
    """Each answer of a worker as it comes, until the worker ends.

    The last one is {"reason"} if the worker fails or is not done after ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    with _started(module, name, settings, None) as (process, errors):
        while (answer := _answer(process, max(0.0, end - time.monotonic()), LAST)) is not None:
            if "reason" in answer:
                late = time.monotonic() >= end
                yield {"reason": f"not done after {timeout:.0f} s"} if late else answer
                return
            yield answer
        if process.wait():
            yield _last_words(process, errors)


LAST = "last"
"""What is written to a worker that is asked for its last answer."""


@contextlib.contextmanager
def _started(
    module: str, name: str, settings: Any, variables: Mapping[str, str] | None
) -> Iterator[tuple[Any, IO[str]]]:
    """A worker and its standard error; in the end it is killed, with all processes that it started."""
    environment = dict(os.environ if variables is None else variables)
    # Our modules are found whether or not the project is installed.
    paths = [str(SCRIPTS), str(SCRIPTS.parent), environment.get("PYTHONPATH")]
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
    """Kill a worker and the processes of its session."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all have ended
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _answer(process: Any, timeout: float, word: str) -> Answer | None:
    """The next answer, {"reason"} after ``timeout`` seconds; None if the worker has ended."""
    late = threading.Timer(timeout, _kill, (process,))
    late.start()
    try:
        with contextlib.suppress(BrokenPipeError):
            os.write(process.stdin.fileno(), f"{word}\n".encode())  # of which no buffer keeps anything
        for line in process.stdout:
            with contextlib.suppress(ValueError, TypeError):  # else it is a library's talk
                return dict(json.loads(line))
        return None if late.is_alive() else {"reason": f"not done after {timeout:.0f} s"}
    finally:
        late.cancel()


def _last_words(process: Any, errors: IO[str]) -> Answer:
    """Why a worker ended."""
    code = process.wait()
    errors.seek(0)
    last = (errors.read().strip().splitlines() or ["it printed nothing"])[-1]
    return {"reason": f"its process ended with code {code}: {last}"}


def serve(about: str | None, work: Callable[[str, str], Answer | Iterator[Answer]]) -> int:
    """The worker's side: print what ``work`` finds for (name, settings as JSON); returns the exit code.

    Of an iterator each answer is printed; it reads what it is asked for from the standard input.

    --help says what it is ``about``.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("name")
    parser.add_argument("--settings", default="{}", metavar="JSON")
    arguments = parser.parse_args()
    try:
        found = work(arguments.name, arguments.settings)
        while isinstance(found, Iterator):
            print(json.dumps(next(found), default=str), flush=True)
    except StopIteration:
        return 0
    except Exception as error:  # whatever a foreign library or a driver raises is the reason
        lines = str(error).strip().splitlines() or [""]
        prefix = "" if isinstance(error, CannotRun) else f"{type(error).__name__}: "
        found = {"reason": prefix + lines[0]}
    print(json.dumps(found, default=str), flush=True)
    return 1 if "reason" in found else 0
