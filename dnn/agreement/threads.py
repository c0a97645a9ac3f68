"""Use one thread for many small steps.

A step of a small network takes no longer than waking the other threads. If other programs use the cores,
waking takes ten times as long (measured: 4 ms instead of 0.1 ms per torch product at load 5 on 2 cores). L2's
large network uses the user's number of threads.
"""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from backends import InputError, get_backend


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit NumPy's BLAS and torch, if imported, to one thread inside the with block."""
    with ExitStack() as stack:
        for name in ("numpy", "torch"):
            if name in sys.modules:
                with suppress(InputError):  # a BLAS without thread control
                    stack.enter_context(get_backend(name).in_threads(1))
        yield
