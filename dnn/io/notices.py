"""Warnings in the log "dnn", and progress on standard output. A closed or full output ends no training."""

import contextlib
import logging
import os
import sys
from typing import Any, TextIO


def warn(text: str) -> None:
    """Write a warning to the log "dnn"."""
    logging.getLogger("dnn").warning(text)


class SteadyOutput:
    """Standard output that never fails: once it cannot be written, it warns and prints nothing more.

    It is closed when its reader or its terminal goes.
    """

    def __init__(self) -> None:
        self._stream = sys.stdout

    def write(self, text: str) -> int:
        with self._silence_on_error():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._silence_on_error():
            self._stream.flush()

    @contextlib.contextmanager
    def _silence_on_error(self) -> Any:
        try:
            yield
        except (OSError, ValueError) as error:
            silence(self._stream)
            warn(f"standard output cannot be written ({error}); going on without it")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def say(text: str) -> None:
    """Print a line to standard output, if there is one."""
    if sys.stdout is not None:  # None where it was closed before Python started
        output = SteadyOutput()
        output.write(text + "\n")
        output.flush()


def silence(stream: TextIO) -> None:
    """Send a stream to nowhere, also what is still in its buffer: Python flushes it when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
