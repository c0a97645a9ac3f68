"""One thread for many small steps.

A step of a small network lasts as long as waking the other threads, and ten times that where other
programs want the same cores (measured: 4 ms instead of 0.1 ms a torch product at load 5 on 2 cores). The
large network of L2 runs with the threads that the user has.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from backends import InputError, get_backend


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, NumPy's BLAS and torch (if loaded) use one thread; afterwards as many as before."""
    with ExitStack() as stack:
        for name in ("numpy", "torch"):
            if name in sys.modules:
                with suppress(InputError):  # a BLAS that cannot be told keeps its threads
                    stack.enter_context(get_backend(name).in_threads(1))
        yield
