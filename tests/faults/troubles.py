"""Faults: a kill at a chosen moment, a limit on file sizes, a disk that is temporarily full.

A trouble prepares the child before it trains (``enter``) and waits for it (``wait``).
"""

import errno
import itertools
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from dnn.callbacks.training_checkpoint import state_files
from dnn.io.atomic_files import unfinished_files

KILL_MOMENTS = ("start-up", "resume", "saving", "running")
"""When a training is killed: before its first state, after --resume and before its next state, while a file
is half-written, or at any other moment."""


def exit_code(pid, wait=True):
    """Return the child's exit code; None if it still runs and ``wait`` is False."""
    found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    return None if found == 0 else os.waitstatus_to_exitcode(status)


class Trouble:
    """No fault: the training runs to its end."""

    def enter(self):
        """Prepare the child before it trains."""

    def wait(self, pid, run):
        """Return the child's exit code, or None if it was killed."""
        return exit_code(pid)


@dataclass
class Kill(Trouble):
    """SIGKILL after ``seconds``, or while the file with number ``file`` is half-written."""

    seconds: float
    file: int | None = None

    def wait(self, pid, run):
        if self.file is None:
            time.sleep(self.seconds)
        else:
            seen: set[Path] = set()
            while len(seen) < self.file:
                if (code := exit_code(pid, wait=False)) is not None:
                    return code
                seen.update(unfinished_files(run))
                time.sleep(1e-4)
        code = exit_code(pid, wait=False)
        if code is None:
            os.kill(pid, signal.SIGKILL)
            exit_code(pid)
        return code


@dataclass
class FileLimit(Trouble):
    """Limit the length of files to ``largest`` bytes."""

    largest: int

    def enter(self):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest, self.largest))


@dataclass
class FullDisk(Trouble):
    """Flushes fail, as on a full disk, from file number ``first`` to ``last`` - 1."""

    first: int
    last: int

    def enter(self):
        count, flush = itertools.count(), os.fsync

        def fsync(handle):
            if self.first <= next(count) < self.last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            flush(handle)

        os.fsync = fsync  # type: ignore[assignment]


def moment(run, resumed, states_before):
    """Return the moment of a kill, judged by the files in the run folder."""
    if unfinished_files(run):
        return "saving"
    if set(state_files(run)) - set(states_before):
        return "running"
    return "resume" if resumed else "start-up"


def damage(path, chance):
    """Flip a bit of a file, truncate it, or empty it; return its new content."""
    content = bytearray(path.read_bytes())
    place = chance.randrange(len(content))
    cut = bytes(content[:place])
    content[place] ^= 1 << chance.randrange(8)
    changed = chance.choice([bytes(content), cut, b""])
    path.write_bytes(changed)
    return changed
