"""Faults: a kill at a chosen moment, a limit on file sizes, a disk that is temporarily full.

A trouble prepares the child before it trains (``enter``) and waits for it (``wait``).
"""

import errno
import gc
import itertools
import os
import signal
import sys
import time
from dataclasses import dataclass

from dnn.callbacks.training_checkpoint import state_files
from dnn.io.atomic_files import unfinished_files

KILL_MOMENTS = ("start-up", "resume", "saving", "running")
"""When a training is killed: before its first state, after --resume and before its next state, while a file
is half-written, or at any other moment."""


def exit_code(pid, wait=True):
    """Return the child's exit code; None if it still runs and ``wait`` is False."""
    found, status = os.waitpid(pid, 0 if wait else os.WNOHANG)
    return None if found == 0 else os.waitstatus_to_exitcode(status)


def fork(work, log, closed=False):
    """Call ``work`` in a forked child, whose output goes to the file ``log``; return the child's process id.

    ``closed``: stdout is a closed pipe.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 70
    gc.freeze()  # finalizers of the parent's garbage may wait for threads that a fork does not copy
    try:
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(target, 1)
        os.dup2(target, 2)
        if closed:
            reader, writer = os.pipe()
            os.dup2(writer, 1)
            os.close(reader)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)  # the parent's may be a file
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
        code = work() or 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else bool(stop.code)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def act_before_calls(names, act):
    """Call ``act(number)`` before each call of these functions of ``os``, counted together from 1."""
    count = itertools.count(1)

    def watched(function):
        def call(*arguments, **options):
            act(next(count))
            return function(*arguments, **options)

        return call

    for name in names:
        setattr(os, name, watched(getattr(os, name)))


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
            seen = set()
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
class KillAtChange(Kill):
    """SIGKILL before the change of the disk with number ``change``: a flush, a rename or a removal."""

    seconds: float = 0.0
    change: int = 1

    def enter(self):
        def kill(number):
            if number == self.change:
                os.kill(os.getpid(), signal.SIGKILL)

        act_before_calls(("fsync", "replace", "rename", "unlink", "truncate"), kill)

    def wait(self, pid, run):
        code = exit_code(pid)
        return None if code == -signal.SIGKILL else code


@dataclass
class FileLimit(Trouble):
    """Limit the length of files to ``largest`` bytes."""

    largest: int

    def enter(self):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (self.largest, self.largest))


@dataclass
class FullDisk(Trouble):
    """Flushes fail, as on a full disk: all after the first ``first``, up to number ``last``."""

    first: int
    last: int

    def enter(self):
        def fail(number):
            if self.first < number <= self.last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        act_before_calls(("fsync",), fail)


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
