"""The number of threads of a backend's matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

from backends.errors import InputError, short_repr

MAX_THREADS = 1024


class Threads:
    """Base class of Backend: one thread, fixed, unless the library's backend overrides this."""

    name: str

    @property
    def thread_count(self) -> int:
        """Number of threads of a product."""
        return 1

    def set_threads(self, n: int) -> None:
        """Use n threads for products from now on, process-wide.

        Raises InputError: the library cannot do that; the message has the cure.
        """
        raise InputError(f"threads is {n}", f"None: the backend {self.name!r} does not support it")

    def with_threads(self, n: int) -> Self:
        """Set n threads, and return a copy of this backend that records the number.

        Raises InputError: n is not an integer from 1 to MAX_THREADS, or ``set_threads`` fails.
        """
        if type(n) is not int or not 0 < n <= MAX_THREADS:
            raise InputError(f"threads is {short_repr(n)}", f"a whole number from 1 to {MAX_THREADS}")
        self.set_threads(n)
        return replace(self, threads=n)  # type: ignore[type-var]

    @contextmanager
    def in_threads(self, n: int) -> Iterator[None]:
        """Return a context in which products use n threads; 1 is the calling thread alone.

        Raises InputError: as ``set_threads``.
        """
        before = self.thread_count
        if before != n:
            self.set_threads(n)
        try:
            yield
        finally:
            if before != n:
                self.set_threads(before)
