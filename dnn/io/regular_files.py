"""Open a file given by the user, without blocking on a pipe or reading an endless device."""

import os
import stat
from pathlib import Path

MAX_TEXT_BYTES = 1 << 24


def _open_regular(name: str, flags: int) -> int:
    handle = os.open(name, flags | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(None, "not a regular file")
    return handle


def read_text(path: Path) -> str:
    """Return the text (UTF-8) of a regular file of at most MAX_TEXT_BYTES bytes.

    Raises OSError: it does not exist, cannot be read, is larger, or is a folder, pipe, socket or device. (The
    built-in ``open`` would block until a pipe has a writer.) UnicodeDecodeError.
    """
    with open(path, encoding="utf-8", opener=_open_regular) as file:
        if os.fstat(file.fileno()).st_size > MAX_TEXT_BYTES:
            raise OSError(None, f"it has more than {MAX_TEXT_BYTES >> 20} MB")
        return file.read()
