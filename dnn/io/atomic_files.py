"""Files that are whole or not there: written beside their place, then renamed into it."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

Buffer = bytes | memoryview
_UNFINISHED = ".unfinished"


def write_atomically(path: Path, *content: Buffer) -> None:
    """Write a file so that a reader, or a crash at any moment, finds the old one or the new one.

    The parts of the content are on the disk before the name is, and the name before this returns (as far as
    the system can promise that).
    Raises OSError: the folder cannot be written to, or the disk is full; nothing is left behind.
    """
    device = path.is_char_device() or path.is_block_device()  # root could replace even these
    if not path.name or (device and not path.is_symlink()):
        raise OSError(errno.EINVAL, "not the name of a file that can be replaced", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
    # Not tempfile: its 0600 would hide the file from other users, and to ask for the umask is to change it.
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in content:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    with contextlib.suppress(OSError, AttributeError):  # Windows and some network file systems cannot
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)  # the folder's entries
        finally:
            os.close(handle)


def unfinished_files(folder: Path) -> list[Path]:
    """What writers that are at work, or that were killed, have in a folder."""
    return list(folder.glob(f".*{_UNFINISHED}"))
