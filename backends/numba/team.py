"""The workers of a process that make an update together, each in a thread of its own."""

import atexit
import os
import threading
from functools import cache

import numpy as np

from backends.numba.native import Blas, find_blas
from backends.numba.update import serve
from backends.numba.waiting import CALL, MAIL, SGEMM, SIZE

MOST = 8  # workers: more were never measured
AT_ONCE = 8  # updates after which Python looks around, for Ctrl-C


class Team:
    """One for the process, as its BLAS is one for the process; as many as that has threads."""

    def __init__(self, blas: Blas) -> None:
        self.blas = blas
        self.lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._process = self._size = 0
        atexit.register(self._close)

    def run(self, plan: int, n: int) -> None:
        """n updates of the plan at this address. Meanwhile the BLAS computes in the thread that calls it."""
        for done in range(0, n, AT_ONCE):
            with self.lock:
                threads = self.blas.get_threads()
                self._resize(min(threads, MOST))
                self.blas.set_threads(1)
                try:
                    serve(self._mail, 0, plan, min(AT_ONCE, n - done))
                finally:
                    self.blas.set_threads(threads)

    def _resize(self, size: int) -> None:
        if (size, os.getpid()) == (self._size, self._process):
            return
        self._close()
        raw = np.zeros(MAIL + 8, dtype=np.int64)
        self._mail = raw[-raw.ctypes.data % 64 // 8 :][:MAIL]
        self._mail[SIZE], self._mail[SGEMM], self._mail[CALL] = size, self.blas.sgemm, self.blas.syscall
        self._size, self._process = size, os.getpid()
        self._threads = [
            threading.Thread(target=serve, args=(self._mail, worker, 0, 0), daemon=True, name=f"dnn-{worker}")
            for worker in range(1, size)
        ]
        for thread in self._threads:
            thread.start()

    def _close(self) -> None:
        if self._threads and self._process == os.getpid():  # a fork has none of its parent's threads
            serve(self._mail, 0, 0, 0)
            for thread in self._threads:
                thread.join()
        self._threads = []


@cache
def team() -> Team | None:
    """The process's team; None where there is no BLAS that it knows how to call."""
    blas = find_blas()
    return None if blas is None else Team(blas)
