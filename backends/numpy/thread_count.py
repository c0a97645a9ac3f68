"""The number of threads of a BLAS, shared by the entire process."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


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
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._open = 0  # number of open sections
        self._waiting = 0  # number of threads waiting for a section with another number
        self._present = 0  # the BLAS threads inside the open sections
        self._outside = 0  # the BLAS threads outside of all sections

    def _after_fork(self) -> None:
        """Reset in a forked child: it has only the forking thread, so only that thread's section is open."""
        outside = self.outside
        threads = self.section_threads
        self._reset()
        if threads:
            self._open = 1
            self._present = threads
            self._outside = outside
        elif self._get() != outside:
            self._set(outside)

    @property
    def outside(self) -> int:
        """The number of BLAS threads outside of all sections."""
        return self._outside if self._open else self._get()

    @property
    def section_threads(self) -> int:
        """The number of BLAS threads of this Python thread's section; 0 outside of sections."""
        threads: int = getattr(self._local, "section_threads", 0)
        return threads

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
