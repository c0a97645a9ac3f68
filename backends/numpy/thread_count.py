"""The number of threads of a BLAS, shared by the entire process."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

MAX_FORK_WAIT_SECONDS = 5.0


class ThreadCount:
    """Controls the number of BLAS threads; nothing else may change it.

    The BLAS has one number per process. Code that needs a certain number opens a section. Sections with the
    same number may be open at once, in several Python threads; a section with another number waits until they
    are closed. So the number never changes during another thread's product, and neither do the bits.

    Args:
        get: returns the current number. set: changes it.
    """

    def __init__(self, get: Callable[[], int], set: Callable[[int], Any]) -> None:
        self._get = get
        self._set = set
        self.explicit = False  # True after ``change``: the number then applies to all products
        self._local = threading.local()
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=lambda: self._changed.release(),
                after_in_child=self._after_fork,
            )

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._open = 0  # number of open sections
        self._waiting = 0  # number of threads waiting for a section with another number
        self._present = 0  # number of BLAS threads inside the open sections
        self._outside = 0  # number of BLAS threads outside of all sections

    def _before_fork(self) -> None:
        """Keep other threads out of the BLAS during a fork, if it has several threads.

        OpenBLAS 0.3.30 holds a lock during a product of several threads. A child that is forked during
        the product never gets the lock, so its first product of several threads never returns.
        """
        self._changed.acquire()
        own = 1 if self.section_threads else 0
        self._waiting += 1
        self._changed.wait_for(lambda: self._open == own or self._present == 1, MAX_FORK_WAIT_SECONDS)
        self._waiting -= 1

    def _after_fork(self) -> None:
        """Reset in a forked child: it has only the forking thread, so only that thread's section is open.

        If another thread's section with several BLAS threads did not end in time, the child uses one thread.
        """
        own = self.section_threads
        outside = self.outside
        if self._open > bool(own) and self._present > 1:
            own = self._local.section_threads = min(own, 1)
            outside = 1
        self._reset()
        if own:
            self._open = 1
            self._present = own
            self._outside = outside
        if self._get() != (own or outside):
            self._set(own or outside)

    @property
    def outside(self) -> int:
        """The number of BLAS threads outside of all sections; no section can open while it is read."""
        with self._changed:
            return self._outside if self._open else self._get()

    @property
    def section_threads(self) -> int:
        """The number of BLAS threads of this Python thread's section; 0 outside of sections."""
        return int(getattr(self._local, "section_threads", 0))

    def change(self, n: int) -> None:
        """Set the number outside of sections to n; waits until no section is open."""
        with self._changed:
            self._wait_for(0)
            self._set(n)
            self.explicit = True

    @contextmanager
    def section(self, n: int) -> Iterator[None]:
        """Use n BLAS threads in this context; a nested section replaces the outer one until it ends."""
        around = self.section_threads
        if around == n:
            yield
            return
        if around:
            self._close()
        try:
            self._enter(n)
            try:
                yield
            finally:
                self._close()
        finally:
            if around:
                self._enter(around)

    def _enter(self, n: int) -> None:
        with self._changed:
            self._wait_for(n)
            if not self._open:
                self._outside = self._get()
                if self._outside != n:
                    self._set(n)
            self._open += 1
            self._present = n
        self._local.section_threads = n

    def _close(self) -> None:
        self._local.section_threads = 0
        with self._changed:
            self._open -= 1
            if not self._open:
                if self._outside != self._present:
                    self._set(self._outside)
                self._changed.notify_all()

    def _wait_for(self, n: int) -> None:
        """Wait until a section of n threads may be opened, in order of arrival."""
        if not self._open or (self._present == n and not self._waiting):
            return
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: not self._open)
        finally:
            self._waiting -= 1
