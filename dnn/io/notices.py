"""Warnings to the logger "dnn", and lines on standard output and standard error that never fail."""

import contextlib
import io
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any

from backends.errors import printable


@contextlib.contextmanager
def ignore_failures() -> Iterator[None]:
    """Suppress every Exception but MemoryError in the with block: streams and handlers may raise any type."""
    try:
        yield
    except MemoryError:
        raise
    except Exception:
        pass


def warn(text: str) -> None:
    """Log a warning to the logger "dnn"."""
    with ignore_failures():  # logging reports a failing handler on stderr, which may be closed
        logging.getLogger("dnn").warning(printable(text))


def print_line(text: str, end: str = "\n") -> None:
    """Print a line to standard output, if there is one. If that fails, warn."""
    if error := try_print(sys.stdout, text, end):
        warn(f"standard output cannot be written ({error}); going on without it")


def try_print(stream: Any, text: str, end: str = "\n") -> Exception | None:
    """Print a line to a stream, which may be None; characters that it cannot encode are escaped.

    Returns the error if that fails: any object may be ``sys.stdout``. If the reader of a pipe or the terminal
    is closed, or the disk is full, all later output is discarded.
    """
    if stream is None:  # print would use stdout
        return None
    try:
        encoding = getattr(stream, "encoding", None) or "utf-8"
        print(printable(text).encode(encoding, "backslashreplace").decode(encoding), end=end, file=stream)
        if hasattr(stream, "flush"):
            stream.flush()
    except MemoryError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, BlockingIOError):
            silence(stream)
        return error
    return None


def silence(stream: object) -> None:
    """Redirect the process's stdout or stderr to the null device, including its buffer, flushed at exit.

    Other streams, such as one of a notebook or one that a program set as ``sys.stdout``, are left alone.
    """
    with contextlib.suppress(OSError, ValueError):
        if isinstance(stream, io.TextIOWrapper) and stream.fileno() in (1, 2):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            if nowhere != stream.fileno():  # it was closed, so that its number was free
                os.close(nowhere)
