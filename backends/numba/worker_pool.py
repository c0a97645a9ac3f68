"""The process's worker threads, which compute an update together."""

import atexit
import os
import threading
from functools import cache
from math import ceil

import numpy as np

from backends.numba.native import FUTEX_NUMBER, use_sgemm
from backends.numba.synchronization import MAILBOX_WORDS, SIZE
from backends.numba.update import run_worker
from backends.numpy.backend import aligned_zeros
from backends.numpy.blas import Blas, numpy_blas

MAX_WORKERS = 8  # larger numbers were never measured
UPDATES_PER_CALL = 8  # between two calls Python handles signals such as Ctrl-C
QUOTA_PATH = "/sys/fs/cgroup/cpu.max"  # the CPU limit of a container (Linux's cgroup v2)


class WorkerPool:
    """The worker threads, one for each thread of the BLAS. A process has one pool, as it has one BLAS."""

    def __init__(self, blas: Blas) -> None:
        self.blas = blas
        use_sgemm(blas.sgemm)
        self._core_quota = _core_quota()
        self._reset()
        atexit.register(self._close)
        os.register_at_fork(after_in_child=self._reset)

    @property
    def workers(self) -> int:
        """Number of workers: the BLAS's threads, limited by the container's CPU quota and MAX_WORKERS."""
        return max(1, min(self.blas.threads.outside, self._core_quota, MAX_WORKERS))

    def run(self, plan: int, n: int) -> None:
        """Make n updates of the plan record at this address. Meanwhile the BLAS has one thread per caller."""
        for done in range(0, n, UPDATES_PER_CALL):
            with self._lock:
                self._resize(self.workers)
                with self.blas.threads.section(1):
                    run_worker(self._mailbox, 0, plan, min(UPDATES_PER_CALL, n - done))

    def _reset(self) -> None:
        """Start without workers; also after a fork, which has none of its parent's threads."""
        self._lock = threading.Lock()
        self._size = 0
        self._threads: list[threading.Thread] = []

    def _resize(self, size: int) -> None:
        if size == self._size:
            return
        self._close()
        self._mailbox = aligned_zeros(MAILBOX_WORDS, np.int64)
        self._mailbox[SIZE] = size
        for worker in range(1, size):
            work = self._mailbox, worker, 0, 0
            thread = threading.Thread(target=run_worker, args=work, daemon=True, name=f"dnn-{worker}")
            thread.start()
            self._threads.append(thread)
        self._size = size

    def _close(self) -> None:
        if self._threads:
            run_worker(self._mailbox, 0, 0, 0)
            for thread in self._threads:
                thread.join()
        self._threads = []
        self._size = 0


def _core_quota() -> int:
    """Return the container's CPU quota in cores, rounded up; MAX_WORKERS if there is no quota."""
    try:
        with open(QUOTA_PATH, encoding="ascii") as file:
            quota, period = file.read().split()
        return ceil(int(quota) / int(period))
    except (OSError, ValueError):  # no such file, or "max" instead of a number
        return MAX_WORKERS


@cache
def worker_pool() -> WorkerPool | None:
    """Return the process's pool; None if NumPy's BLAS cannot be called by address."""
    blas = numpy_blas()
    return WorkerPool(blas) if blas.sgemm and FUTEX_NUMBER else None
