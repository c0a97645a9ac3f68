"""Claims: which thread may use a resource now. An exception at any line leaves them valid.

A lock stays locked if an exception such as KeyboardInterrupt comes between taking it and the ``try`` that
releases it. A claim is an object in a queue. It ends when it is dropped, when the frames of an interrupted
call are gone, or with its thread. Every change of the queue is one operation of the interpreter, so no
exception leaves it half done.
"""

import ctypes
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial, wraps
from itertools import takewhile
from threading import current_thread, main_thread
from typing import TypeVar
from weakref import ReferenceType, ref

T = TypeVar("T")

POLL_SECONDS = 0.001  # between two looks at the queue
MAX_EXIT_WAIT_SECONDS = 5.0


class Claim:
    """The claim of the current thread on a resource.

    Args:
        kind: claims of the same kind may use the resource together. None: no other claim may.
    """

    def __init__(self, kind: Hashable = None) -> None:
        self.kind = self if kind is None else kind
        self.thread = current_thread()


class Claims:
    """A queue of the claims on one resource."""

    def __init__(self) -> None:
        self._queue: dict[ReferenceType[Claim], None] = {}  # the oldest first

    def add(self, claim: Claim) -> None:
        self._queue[ref(claim)] = None

    def drop(self, claim: Claim) -> None:
        """Remove the claim; no-op if it is not in the queue."""
        self._queue.pop(ref(claim), None)

    def living(self) -> list[Claim]:
        """Return all claims, the oldest first. Those of threads that ended, also by a fork, do not count."""
        found = []
        for reference in list(self._queue):
            claim = reference()
            # At the end of the process, the main thread counts as ended, but runs the functions of atexit.
            if claim is not None and (claim.thread.is_alive() or claim.thread is main_thread()):
                found.append(claim)
            else:
                self._queue.pop(reference, None)
        return found

    def older(self, claim: Claim) -> list[Claim]:
        """Return the claims before this one."""
        return [*takewhile(lambda other: other is not claim, self.living())]

    def blocking(self, claim: Claim) -> list[Claim]:
        """Return the older claims of other threads and of another kind, for whose end the claim waits."""
        return [c for c in self.older(claim) if c.thread is not claim.thread and c.kind != claim.kind]

    def wait(self, claim: Claim) -> None:
        """Return when the resource may be used."""
        while len(self._queue) > 1 and self.blocking(claim):
            time.sleep(POLL_SECONDS)

    def take_turn(self, claim: Claim) -> None:
        """Let the other claims use the resource first, if there are any."""
        if len(self._queue) > 1:
            self.drop(claim)
            self.add(claim)
            self.wait(claim)

    def end_others(self) -> None:
        """Raise SystemExit in the other threads that have claims, and wait until they have none.

        Called at the end of the process, which would crash while a daemon thread runs compiled code.
        """
        end = time.monotonic() + MAX_EXIT_WAIT_SECONDS
        threads = {claim.thread for claim in self.living()} - {current_thread()}
        for thread in threads:
            identifier = ctypes.c_ulong(thread.ident or 0)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(identifier, ctypes.py_object(SystemExit))
        while threads & {claim.thread for claim in self.living()} and time.monotonic() < end:
            time.sleep(POLL_SECONDS)

    @contextmanager
    def hold(self, claim: Claim) -> Iterator[None]:
        """Keep the claim in the queue during this context, without waiting for its turn."""
        with finally_call(partial(self.drop, claim)):
            self.add(claim)
            yield


@contextmanager
def finally_call(end: Callable[[], object]) -> Iterator[None]:
    """Call ``end`` when this context ends, as ``finally`` does, also if an exception interrupts that call.

    Then it is called again. So a second call must do no harm.
    """
    try:
        try:
            yield
        finally:
            end()
    except BaseException:
        end()
        raise


@contextmanager
def nested(contexts: Sequence[AbstractContextManager[object]]) -> Iterator[None]:
    """Enter contexts, each inside the one before.

    After an interrupt, an ExitStack would keep its frames, and with them an open context, until Python
    collects garbage.
    """
    if not contexts:
        yield
        return
    with contexts[0], nested(contexts[1:]):
        yield


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Decorator: return the same result in all threads, also if several make the first call at once."""
    results: dict[str, T] = {}

    @wraps(make)
    def result() -> T:
        if not results:
            results.setdefault("first", make())
        return results["first"]

    return result
