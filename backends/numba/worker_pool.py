"""The process's worker threads, which compute an update together."""

import atexit
import threading
from math import ceil

import numpy as np

from backends.claims import Claim, Claims, once
from backends.numba.native import FUTEX_NUMBER, use_sgemm
from backends.numba.synchronization import MAILBOX_WORDS, SIZE, TICKET, UPDATES
from backends.numba.update import run_worker
from backends.numpy.backend import aligned_zeros
from backends.numpy.blas import Blas, numpy_blas

MAX_WORKERS = 8  # larger numbers were never measured
UPDATES_PER_CALL = 8  # between two calls Python handles signals such as Ctrl-C
QUOTA_PATH = "/sys/fs/cgroup/cpu.max"  # the CPU limit of a container (Linux's cgroup v2)


class _Crew:
    """Threads that wait for tasks at one mailbox; the thread that gives them a task is worker 0."""

    def __init__(self, size: int) -> None:
        self.mailbox = aligned_zeros(MAILBOX_WORDS, np.int64)
        self.mailbox[SIZE] = size
        self.threads = [
            threading.Thread(target=run_worker, args=(self.mailbox, i, 0, 0), daemon=True, name=f"dnn-{i}")
            for i in range(1, size)
        ]

    def is_complete(self, size: int) -> bool:
        """Return whether this many workers wait for tasks.

        After an interrupted start or dismissal, and in a forked child, they do not.
        """
        is_dismissed = self.mailbox[TICKET] > 0 and self.mailbox[UPDATES] == 0
        is_alive = all(thread.is_alive() for thread in self.threads)
        return self.mailbox[SIZE] == size and is_alive and not is_dismissed

    def dismiss(self) -> None:
        """End all threads, including those of an interrupted start."""
        run_worker(self.mailbox, 0, 0, 0)
        for thread in self.threads:
            if thread.is_alive():
                thread.join()


class WorkerPool:
    """The worker threads, one for each thread of the BLAS. A process has one pool, as it has one BLAS."""

    def __init__(self, blas: Blas) -> None:
        self.blas = blas
        use_sgemm(blas.sgemm)
        self._core_quota = _core_quota()
        self._claims = Claims()
        self._crew = _Crew(1)
        atexit.register(self._close)

    @property
    def workers(self) -> int:
        """Number of workers: the BLAS's threads, limited by the container's CPU quota and MAX_WORKERS."""
        return max(1, min(self.blas.threads.outside, self._core_quota, MAX_WORKERS))

    def run(self, plan: int, n: int) -> None:
        """Make n updates of the plan record at this address. Meanwhile the BLAS has one thread per caller."""
        claim = Claim()
        with self._claims.hold(claim):
            for done in range(0, n, UPDATES_PER_CALL):
                self._claims.take_turn(claim)
                self._resize(self.workers)
                with self.blas.threads.section(1):
                    run_worker(self._crew.mailbox, 0, plan, min(UPDATES_PER_CALL, n - done))

    def _resize(self, size: int) -> None:
        if not self._crew.is_complete(size):
            self._crew.dismiss()
            self._crew = _Crew(size)
            for thread in self._crew.threads:
                thread.start()

    def _close(self) -> None:
        """Dismiss the workers at the end of the process; other threads' updates do not go on."""
        self._last = Claim()
        self._claims.add(self._last)
        self._claims.wait(self._last)
        self._crew.dismiss()


def _core_quota() -> int:
    """Return the container's CPU quota in cores, rounded up; MAX_WORKERS if there is no quota."""
    try:
        with open(QUOTA_PATH, encoding="ascii") as file:
            quota, period = file.read().split()
        return ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max" instead of a number
        return MAX_WORKERS


@once
def worker_pool() -> WorkerPool | None:
    """Return the process's pool; None if NumPy's BLAS cannot be called by address."""
    blas = numpy_blas()
    return WorkerPool(blas) if blas.sgemm and FUTEX_NUMBER else None
