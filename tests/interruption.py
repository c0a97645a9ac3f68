"""Raise an exception at a chosen line of a call, as Ctrl-C or a full memory does."""

import contextlib
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path

import backends
import dnn
from backends import BackendUnavailable, InputError

FILES = (str(Path(backends.__file__).parent), str(Path(dnn.__file__).parent), contextlib.__file__)
"""The files whose lines count: ours, and the library that leaves our ``with`` blocks."""


def in_own_thread(test):
    """Decorator: run a test in a new thread. Python keeps its state of exceptions after some interrupts."""

    @wraps(test)
    def run(**arguments):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, **arguments).result()

    return run


def _trace(call, on_line):
    """Call with ``on_line()`` before each line of FILES in this thread."""

    def trace(frame, event, argument):
        if event == "line":
            on_line(frame)
        return trace

    def trace_calls(frame, event, argument):
        return trace if frame.f_code.co_filename.startswith(FILES) else None

    before = sys.gettrace()
    sys.settrace(trace_calls)
    try:
        call()
    finally:
        sys.settrace(before)


def line_numbers(call):
    """Return the numbers of the lines of a call to interrupt: the first and the last time of each line."""
    first, last = {}, {}
    count = 0

    def note(frame):
        nonlocal count
        count += 1
        line = frame.f_code.co_filename, frame.f_lineno
        first.setdefault(line, count)
        last[line] = count

    _trace(call, note)
    return sorted({*first.values(), *last.values()})


def interrupt(call, n, error):
    """Call, raising ``error`` before line number n. Return where, or None if the call has fewer lines."""
    count = 0
    place = None

    def stop(frame):
        nonlocal count, place
        count += 1
        if count == n:
            sys.settrace(None)
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            raise error

    try:
        _trace(call, stop)
    except error:
        pass
    except (InputError, BackendUnavailable):  # such as a file that asks for too much memory
        assert error is MemoryError
    else:
        assert place is None, f"{place}: the exception is lost"
    return place
