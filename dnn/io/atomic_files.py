"""Atomic writes: a file is written under a temporary name in the same folder, then renamed."""

import contextlib
import errno
import os
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path

from backends.claims import finally_call

MAX_PARTS = 200  # of the path of a folder to create
NO_FSYNC = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)
_UNFINISHED = ".unfinished"


def write_atomically(
    path: Path, content: bytes | memoryview, check: Callable[[], None] = lambda: None
) -> None:
    """Write a file so that readers, and a crash at any moment, see the old file or the new one, never a part.

    The content is flushed to the disk before the rename, and the rename before this function returns, as far
    as the system supports it.

    Args:
        check: called before the rename; it raises an error if the folder must not be written any more. A
            folder that is replaced after the call does not have the temporary file, so the rename fails.
    Raises OSError: the folder is not writable, or the disk is full; no temporary file remains.
    """
    device = path.is_char_device() or path.is_block_device()  # root could replace a device by a file
    if not path.name or (device and not path.is_symlink()):
        raise OSError(errno.EINVAL, "not the name of a file that can be replaced", str(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}{_UNFINISHED}")
    # Not tempfile: its mode 0600 would hide the file from other users, and reading the umask changes it.
    with finally_call(partial(_remove, temporary)):
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            _flush_to_disk(file.fileno())
        check()
        os.replace(temporary, path)
    with contextlib.suppress(OSError, AttributeError):  # Windows and some network file systems cannot
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)  # the folder's entries
        finally:
            os.close(handle)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _flush_to_disk(handle: int) -> None:
    """Call fsync, which some network file systems lack. Raises OSError: the disk failed or is full."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_FSYNC:
            raise


def make_folder(path: Path) -> None:
    """Create a folder and its parents if they do not exist. Raises OSError: no files can be created there."""
    require_short(path)
    path.mkdir(parents=True, exist_ok=True)
    require_writable(path)


def require_writable(folder: Path) -> None:
    """Raise OSError if no files can be created in a folder."""
    probe = folder / f".{secrets.token_hex(8)}{_UNFINISHED}"
    with finally_call(partial(_remove, probe)):
        probe.touch(exist_ok=False)


def require_short(path: Path) -> None:
    """Raise OSError if a path has too many parts: it is a mistake, and mkdir would recurse too deeply."""
    if len(path.parts) > MAX_PARTS:
        raise OSError(errno.ENAMETOOLONG, f"its path has more than {MAX_PARTS} parts", str(path))


def append(path: Path, size: int, content: bytes, check: Callable[[], None] = lambda: None) -> None:
    """Append to a file of ``size`` bytes; ``check`` as in ``write_atomically``.

    Raises OSError: it cannot be written, or has another size; then it is unchanged.
    """
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0))
    with os.fdopen(handle, "ab", buffering=0) as file:
        check()
        if file.tell() != size:
            raise OSError(errno.EINVAL, "not a file of the expected size", str(path))
        try:
            if file.write(content) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            _flush_to_disk(handle)
        except OSError:
            file.truncate(size)
            raise


def unfinished_files(folder: Path) -> list[Path]:
    """Return the temporary files in a folder, of active writers and of killed ones."""
    return list(folder.glob(f".*{_UNFINISHED}"))
