"""Raise an error at one line of a call, so that a test can try each line."""

import sys
from collections.abc import Callable
from typing import Any

from array_agreement import check

PACKAGE = check.__file__.rpartition("check.py")[0]


def raise_at_line(n: int, error: type[BaseException], call: Callable[[], Any], folder: str = PACKAGE) -> bool:
    """Call a function, raise ``error`` at its n-th line in files of a folder, and return whether it got there.

    Lines that run under a trace function of the call itself are not counted.
    """
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(folder):
            return None
        count += event == "line"
        if event == "line" and count == n:
            raise error
        return trace

    previous = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except error:
        assert count >= n, "another line raised it"
    finally:
        sys.settrace(previous)
    return count >= n
