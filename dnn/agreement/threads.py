"""Run most small steps in one thread, and some of them in all threads.

A step of a small network takes no longer than waking the other threads. If other programs use the cores,
waking takes ten times as long (measured: 4 ms instead of 0.1 ms per torch product at load 5 on 2 cores). But
a program may be wrong only with several threads, so some of the comparisons use them.
"""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress

from backends import InputError, get_backend


@contextmanager
def one_thread(*, all_instead: bool = False) -> Iterator[None]:
    """Use one thread of NumPy's BLAS and of torch, if imported, inside the with block; or all, at least 2."""
    with ExitStack() as stack:
        for name in ("numpy", "torch"):
            if name in sys.modules:
                backend = get_backend(name)
                threads = max(2, backend.thread_count) if all_instead else 1
                with suppress(InputError):  # a BLAS without thread control
                    stack.enter_context(backend.in_threads(threads))
        yield


def all_threads_if(wanted: bool) -> AbstractContextManager[None]:
    """Return a context with all threads, at least 2, if ``wanted``, else with the current number."""
    return one_thread(all_instead=True) if wanted else nullcontext()
