"""How many threads a backend's products have."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Self

from backends.errors import InputError, short_repr

MAX_THREADS = 1024


class Threads:
    """A part of Backend: one thread that cannot be changed, unless its library says otherwise."""

    name: str

    @property
    def thread_count(self) -> int:
        """How many threads a product has."""
        return 1

    def set_threads(self, n: int) -> None:
        """Give products n threads from now on, in the whole process, which has one library of them.

        Raises InputError: they cannot be given so many; what can be done.
        """
        raise InputError(f"threads is {n}, expected None: the backend {self.name!r} has none to be set")

    def with_threads(self, n: int) -> Self:
        """The same backend, which remembers that n threads were asked for and has them.

        Raises InputError: no number of threads; and as ``set_threads``.
        """
        if type(n) is not int or not 0 < n <= MAX_THREADS:
            raise InputError(f"threads is {short_repr(n)}, expected a whole number from 1 to {MAX_THREADS}")
        self.set_threads(n)
        return replace(self, threads=n)  # type: ignore[type-var]

    def in_threads(self, n: int) -> AbstractContextManager[None]:
        """While it is open, products have n threads; with 1, that which asks for them.

        Raises InputError: as ``set_threads``.
        """
        return self._in_threads(n)

    @contextmanager
    def _in_threads(self, n: int) -> Iterator[None]:
        before = self.thread_count
        if before != n:
            self.set_threads(n)
        try:
            yield
        finally:
            if before != n:
                self.set_threads(before)
