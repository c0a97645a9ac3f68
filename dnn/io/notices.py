"""Warnings to the logger "dnn", and progress on standard output that never fails."""

import contextlib
import logging
import os
import sys
from typing import Any, TextIO

from backends.errors import printable


def warn(text: str) -> None:
    """Log a warning to the logger "dnn"."""
    logging.getLogger("dnn").warning(printable(text))


class SteadyOutput:
    """Wrapper of standard output that never fails: after a failed write it warns and discards all text.

    Writes fail if the reader of a pipe or the terminal is closed, or the disk is full.
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


def print_line(text: str) -> None:
    """Print a line to standard output, if there is one."""
    if sys.stdout is not None:  # None if it was closed before Python started
        output = SteadyOutput()
        output.write(printable(text) + "\n")
        output.flush()


def silence(stream: TextIO) -> None:
    """Redirect a stream to the null device, including its buffer, which Python flushes at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
