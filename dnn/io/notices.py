"""Warnings to the logger "dnn", and progress on standard output that never fails."""

import contextlib
import logging
import os
import sys
from typing import TextIO

from backends.errors import printable


def warn(text: str) -> None:
    """Log a warning to the logger "dnn"."""
    logging.getLogger("dnn").warning(printable(text))


def print_line(text: str, end: str = "\n") -> None:
    """Print a line to standard output, if there is one. If that fails, warn, and discard all later output.

    It fails if the reader of a pipe or the terminal is closed, or the disk is full.
    """
    try:
        print(printable(text), end=end, flush=True)
    except (OSError, ValueError) as error:
        silence(sys.stdout)
        warn(f"standard output cannot be written ({error}); going on without it")


def silence(stream: TextIO) -> None:
    """Redirect a stream to the null device, including its buffer, which Python flushes at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
