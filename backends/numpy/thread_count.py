"""The number of threads of a BLAS, shared by the entire process."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import ref

from backends.claims import POLL_SECONDS, Claim, Claims

MAX_FORK_WAIT_SECONDS = 5.0


class ThreadCount:
    """Controls the number of BLAS threads; nothing else may change it.

    The BLAS has one number per process. Code that needs a certain number opens a section. Sections with the
    same number may be open at once, in several Python threads; a section with another number waits until they
    are closed. So the number never changes during another thread's product, and neither do the bits. An
    exception at any line, such as KeyboardInterrupt, leaves no section open and no number changed.

    Args:
        get: returns the current number. set: changes it.
    """

    def __init__(self, get: Callable[[], int], set: Callable[[int], Any]) -> None:
        self._get = get
        self._set = set
        self.explicit = False  # True after ``change``: the number then applies to all products
        self._local = threading.local()
        self._claims = Claims()  # the kind of a section is its number
        # [number that sections have set, number to restore], 0 without a change; each change is a new list.
        self._change = [0, 0]
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork,
                after_in_child=self._begin_child,
            )

    def _before_fork(self) -> None:
        """Keep other threads out of the BLAS during a fork, if it has several threads.

        OpenBLAS 0.3.30 holds a lock during a product of several threads. A child that is forked during
        the product never gets the lock, so its first product of several threads never returns.
        """
        fork = self._local.fork = Claim()
        self._claims.add(fork)
        end = time.monotonic() + MAX_FORK_WAIT_SECONDS
        while any(claim.kind != 1 for claim in self._claims.blocking(fork)) and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        self._local.in_time = time.monotonic() < end

    def _after_fork(self) -> None:
        self._claims.drop(self._local.fork)

    def _begin_child(self) -> None:
        """Take back other threads' changes in a forked child, which has none of these threads.

        If another thread's section with several BLAS threads did not end in time, the child uses one thread.
        """
        self._after_fork()
        _, outside = self._numbers()
        section = self._section()
        if not self._local.in_time:
            outside = 1
            if section is not None:
                section.kind = 1
        inside = self.section_threads
        self._change = [inside, outside]
        if self._get() != (inside or outside):
            self._set(inside or outside)

    def _numbers(self) -> tuple[int, int]:
        """Return the number of BLAS threads now, and the number outside of all sections."""
        while True:
            change = self._change
            now = self._get()
            if change is self._change:  # no section was opened or closed meanwhile
                inside, outside = change
                return now, outside if now == inside else now

    @property
    def outside(self) -> int:
        """The number of BLAS threads outside of all sections."""
        return self._numbers()[1]

    def _section(self) -> Claim | None:
        """Return this Python thread's section; None outside of sections."""
        reference = getattr(self._local, "section", None)
        return None if reference is None else reference()

    @property
    def section_threads(self) -> int:
        """The number of BLAS threads of this Python thread's section; 0 outside of sections."""
        section: Any = self._section()
        return 0 if section is None else section.kind

    def change(self, n: int) -> None:
        """Set the number outside of sections to n; waits until no other thread's section is open."""
        self.explicit = True
        if inside := self.section_threads:
            self._change = [inside, n]
            return
        claim = Claim()
        with self._claims.hold(claim):
            self._claims.wait(claim)
            self._set(n)

    @contextmanager
    def section(self, n: int) -> Iterator[None]:
        """Use n BLAS threads in this context; a nested section replaces the outer one until it ends."""
        around = self._section()
        if around is not None and around.kind == n:
            yield
            return
        section = Claim(n)
        try:
            try:
                if around is not None:
                    self._claims.drop(around)
                self._open(section)
                yield
            finally:
                self._close(section, n, around)
        except BaseException:
            self._close(section, n, around)  # the exception may have interrupted the first call
            raise

    def _open(self, section: Claim) -> None:
        """Wait for the section's turn, and set its number."""
        self._local.section = ref(section)
        self._claims.add(section)
        self._claims.wait(section)
        now, outside = self._numbers()
        n: Any = section.kind
        if now != n:
            self._change = [n, outside]
            self._set(n)

    def _close(self, section: Claim, n: int, around: Claim | None) -> None:
        """Open the section around again, or restore the number if no other section is open."""
        self._local.section = None
        section.kind = section  # from now on, no other section can open
        if around is None and all(claim.kind != n for claim in self._claims.living()):
            inside, outside = self._change
            if self._get() == inside:
                self._set(outside)
            self._change = [0, 0]
        self._claims.drop(section)
        if around is not None:
            self._open(around)
