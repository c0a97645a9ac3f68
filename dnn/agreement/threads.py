"""Run most small steps in one thread, and some in several.

A step of a small network takes no longer than waking the other threads. If other programs use the cores,
waking takes ten times as long (measured: 4 ms instead of 0.1 ms per torch product at load 5 on 2 cores). But
a program may be wrong only with several threads, so some of the comparisons use them.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from backends import InputError
from dnn.agreement.contender import Contender


@contextmanager
def in_threads(contenders: Iterable[Contender], *, several: bool = False) -> Iterator[None]:
    """Use one thread of each contender's library inside the with block; if ``several``, at least 2."""
    with ExitStack() as stack:
        for backend in (contender.backend for contender in contenders):
            threads = max(2, backend.thread_count) if several else 1
            with suppress(InputError):  # a library without thread control
                stack.enter_context(backend.in_threads(threads))
        yield
