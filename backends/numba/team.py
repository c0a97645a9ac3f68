"""The workers of a process that make an update together, each in a thread of its own."""

import atexit
import os
import threading
from functools import cache
from math import ceil

import numpy as np

from backends.numba.native import syscall
from backends.numba.update import serve
from backends.numba.waiting import CALL, MAIL, SGEMM, SIZE
from backends.numpy.backend import aligned_zeros
from backends.numpy.blas import Blas, numpy_blas

MOST = 8  # workers: more were never measured
AT_ONCE = 8  # updates after which Python looks around, for Ctrl-C
QUOTA = "/sys/fs/cgroup/cpu.max"  # how much of the cores a container has


class Team:
    """One for the process, as its BLAS is one for the process; a worker for each of the BLAS's threads."""

    def __init__(self, blas: Blas) -> None:
        self.blas = blas
        self._quota = _quota()
        self._forget()
        atexit.register(self._close)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forget)

    @property
    def workers(self) -> int:
        """How many are wanted now: as the BLAS has threads, within the container's share of the cores."""
        return max(1, min(self.blas.threads.outside, self._quota, MOST))

    def run(self, plan: int, n: int) -> None:
        """n updates of the plan at this address. Meanwhile the BLAS computes in the thread that calls it."""
        for done in range(0, n, AT_ONCE):
            with self._lock:
                self._resize(self.workers)
                with self.blas.threads.section(1):
                    serve(self._mail, 0, plan, min(AT_ONCE, n - done))

    def _new_mail(self, size: int) -> np.ndarray:
        mail = aligned_zeros(MAIL, np.int64)
        mail[SIZE], mail[SGEMM], mail[CALL] = size, self.blas.sgemm, syscall()
        return mail

    def _forget(self) -> None:
        """Have no workers; a fork has none of its parent's threads."""
        self._lock = threading.Lock()
        self._size = 0
        self._threads: list[threading.Thread] = []

    def _resize(self, size: int) -> None:
        if size == self._size:
            return
        self._close()
        self._mail = self._new_mail(size)
        for worker in range(1, size):
            work = self._mail, worker, 0, 0
            thread = threading.Thread(target=serve, args=work, daemon=True, name=f"dnn-{worker}")
            thread.start()
            self._threads.append(thread)
        self._size = size

    def _close(self) -> None:
        if self._threads:
            serve(self._mail, 0, 0, 0)
            for thread in self._threads:
                thread.join()
        self._threads = []
        self._size = 0


def _quota() -> int:
    """How many cores a container may use at a time (Linux's cgroup v2); MOST if nothing is said."""
    try:
        with open(QUOTA, encoding="ascii") as file:
            share, period = file.read().split()
        return ceil(int(share) / int(period))
    except (OSError, ValueError):  # "max" is no number
        return MOST


@cache
def team() -> Team | None:
    """The process's team; None where there is no BLAS that it knows how to call."""
    blas = numpy_blas()
    return Team(blas) if blas and blas.sgemm and syscall() else None
