"""One thread for many small steps.

A step of a small network lasts as long as waking the other threads, and ten times that where other
programs want the same cores (measured: 4 ms instead of 0.1 ms a torch product at load 5 on 2 cores). The
large network of L2 runs with the threads that the user has.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any


def _blas_limits() -> Any:
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:  # it comes with scikit-learn; without it NumPy keeps its threads
        return nullcontext()
    return threadpool_limits(1, user_api="blas")


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, NumPy's BLAS and torch (if loaded) use one thread; afterwards as many as before."""
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch is not None else 0
    with _blas_limits():
        try:
            if torch is not None:
                torch.set_num_threads(1)
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(threads)
