"""Run work in a separate process, so that a hang or a crash does not affect other work."""

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Any

Answer = dict[str, Any]


def run_in_process(
    work: Callable[..., Iterator[Answer]], *arguments: Any, timeout: float
) -> Iterator[Answer]:
    """Yield the answers of ``work(*arguments)`` from a new process. Each answer is computed on demand.

    The last answer is {"reason"} if the work fails or has computed for more than ``timeout`` seconds. At the
    end the process is killed, with all processes that it started.

    Args:
        work: a function of a module. Its answers are JSON values; others become text.
    """
    context = multiprocessing.get_context("spawn")
    connection, other_end = context.Pipe()
    process = context.Process(target=_serve, args=(other_end, work, arguments), daemon=True)
    with _block_interrupts():
        process.start()
    other_end.close()
    left = timeout
    answer: Answer | None = {}
    try:
        while answer is not None and "reason" not in answer:
            begun = time.monotonic()
            connection.send(None)
            if connection.poll(max(0.0, left)):
                answer = json.loads(connection.recv())
            else:
                answer = {"reason": f"not done after {timeout:.0f} s"}
            left -= time.monotonic() - begun
            if answer is not None:
                yield answer
    except (EOFError, OSError):
        process.join()
        yield {"reason": f"its process ended with code {process.exitcode}"}
    finally:
        with suppress(AttributeError, ProcessLookupError, PermissionError):  # Windows; all have ended
            os.killpg(process.pid, signal.SIGKILL)  # type: ignore[arg-type]
        process.kill()
        process.join()


@contextmanager
def _block_interrupts() -> Iterator[None]:
    """Block SIGINT in the with block. A process that starts there keeps it blocked.

    Until that process has a group of its own, a terminal sends Ctrl-C to it too. Its parent kills it instead.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # its start would unblock SIGINT
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, work: Callable[..., Iterator[Answer]], arguments: tuple[Any, ...]) -> None:
    """For each request send the next answer as JSON: null after the last, {"reason"} for an error."""
    if hasattr(os, "setsid"):
        os.setsid()
    os.dup2(2, 1)  # stdout is for the results of the asking process
    try:
        answers = work(*arguments)
        while True:
            connection.recv()
            connection.send(json.dumps(next(answers, None), default=str))
    except Exception as error:  # libraries and drivers raise any type
        line = str(error).strip().partition("\n")[0]
        connection.send(json.dumps({"reason": f"{type(error).__name__}: {line}"}))
