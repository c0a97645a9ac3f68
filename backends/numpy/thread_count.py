"""The number of threads of a BLAS, which a whole process shares."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class ThreadCount:
    """The only place that changes the number of BLAS threads.

    The BLAS has one number for the process. Code that needs a certain number opens a section. Sections of one
    number run side by side, in several threads of Python; a section of another number waits until they are
    closed. So the number never changes during somebody else's product, and with it never the bits.

    Args:
        get: returns the present number; set: changes it.
    """

    def __init__(self, get: Callable[[], int], set: Callable[[int], Any]) -> None:
        self._get = get
        self._set = set
        self.explicit = False  # whether somebody asked for a number, which then holds for every product
        self._local = threading.local()
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._after_fork)

    def _reset(self) -> None:
        self._changed = threading.Condition()
        self._open = 0  # sections that are open
        self._waiting = 0  # threads that wait for a section of another number
        self._present = 0  # the number of the open sections
        self._outside = 0  # the number outside of all sections

    def _after_fork(self) -> None:
        """A child has only the thread that forked: the sections of all others are gone."""
        outside = self.outside
        held = self.held
        self._reset()
        if held:
            self._open = 1
            self._present = held
            self._outside = outside
        elif self._get() != outside:
            self._set(outside)

    @property
    def outside(self) -> int:
        """The number of threads outside of all sections."""
        return self._outside if self._open else self._get()

    @property
    def held(self) -> int:
        """The number of the section that this thread of Python is in; 0: it is in none."""
        held: int = getattr(self._local, "held", 0)
        return held

    def change(self, n: int) -> None:
        """Use n threads from now on for everything outside of sections. Waits until none is open."""
        with self._changed:
            self._wait_for(0)
            self._set(n)
            self.explicit = True

    @contextmanager
    def section(self, n: int) -> Iterator[None]:
        """Use n threads inside. A section in another one replaces it meanwhile."""
        around = self.held
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
        self._local.held = n

    def _close(self) -> None:
        self._local.held = 0
        with self._changed:
            self._open -= 1
            if not self._open:
                if self._outside != self._present:
                    self._set(self._outside)
                self._changed.notify_all()

    def _wait_for(self, n: int) -> None:
        """Return when a section of n threads may be opened; whoever waits longer comes first."""
        if not self._open or (self._present == n and not self._waiting):
            return
        self._waiting += 1
        try:
            self._changed.wait_for(lambda: not self._open)
        finally:
            self._waiting -= 1
