"""FolderLock: the lock file of a folder that one process at a time may write."""

import os
import weakref
from pathlib import Path


class FolderLock:
    """A locked file; the lock ends with this object or its process.

    Args:
        path: of the file, in an existing folder.
    Raises BlockingIOError: another process holds the lock. OSError: the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # O_NOFOLLOW: create nothing outside through a link. O_NONBLOCK: do not wait for a pipe's reader.
        careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | careful, 0o644)
        weakref.finalize(self, os.close, self._handle)  # closing the file releases the lock
        try:
            import fcntl

            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except (ImportError, OSError):  # Windows, or a file system without locks: continue unlocked
            pass

    def is_held(self) -> bool:
        """Return whether the path still leads to the locked file: its folder was not removed or replaced."""
        try:
            return os.path.samestat(os.lstat(self._path), os.fstat(self._handle))
        except OSError:
            return False
