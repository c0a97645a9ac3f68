"""Raise an error at one line of a call, so that a test can try each line."""

import sys
from collections.abc import Callable
from typing import Any

import array_agreement

PACKAGE = array_agreement.__path__[0]
ERRSTATE = "_ufunc_config.py"  # of NumPy; a signal cannot come before the call in its ``finally``


def raise_at_line(n: int, error: type[BaseException], call: Callable[[], Any], folder: str) -> bool:
    """Call a function, raise ``error`` at its n-th line in files of a folder, and return whether it has one.

    Lines that run under a trace function of the call itself are not counted.
    """
    count = 0

    def trace(frame: Any, event: str, _: Any) -> Any:
        nonlocal count
        file = frame.f_code.co_filename
        if not file.startswith(folder) or file.endswith(ERRSTATE):
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
        pass
    finally:
        sys.settrace(previous)
    return count >= n
