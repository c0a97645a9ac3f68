"""Open a file given by the user, without blocking on a pipe or reading an endless device."""

import os
import stat
from pathlib import Path
from typing import TextIO


def open_text(path: Path, encoding: str = "utf-8", newline: str | None = None) -> TextIO:
    """Open a regular file for reading.

    Raises OSError: it does not exist, cannot be read, or is a folder, pipe, socket or device. (The built-in
    ``open`` would block until a pipe has a writer.)
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(None, "not a regular file")
        return os.fdopen(handle, encoding=encoding, newline=newline)
    except BaseException:
        os.close(handle)
        raise


def read_text(path: Path) -> str:
    """Return the text (UTF-8) of a regular file. Raises OSError as ``open_text``, or UnicodeDecodeError."""
    with open_text(path) as file:
        return file.read()
