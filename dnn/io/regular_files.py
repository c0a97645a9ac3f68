"""Open a file given by the user, without blocking on a pipe or reading an endless device."""

import os
import stat
from pathlib import Path
from typing import TextIO

MAX_TEXT_BYTES = 1 << 24


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
    """Return the text (UTF-8) of a regular file of at most MAX_TEXT_BYTES bytes.

    Raises OSError: as ``open_text``, or it is larger. UnicodeDecodeError.
    """
    with open_text(path) as file:
        if os.fstat(file.fileno()).st_size > MAX_TEXT_BYTES:
            raise OSError(None, f"it has more than {MAX_TEXT_BYTES >> 20} MB")
        return file.read()
