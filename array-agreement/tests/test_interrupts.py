"""A check that is interrupted at any line leaves nothing behind."""

import itertools
import sys
import threading

import numpy as np
import pytest

import array_agreement
from array_agreement import Disagreement, check_agreement

PACKAGE = array_agreement.__path__[0]
ERRSTATE = "_ufunc_config.py"  # of NumPy; a signal cannot come before the call in its ``finally``


def raise_at_line(n, error, call, folder):
    """Call a function, raise ``error`` at its n-th line in files of a folder, and return whether it has one.

    Lines that run under a trace function of the call itself are not counted.
    """
    count = 0

    def trace(frame, event, _):
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


def softmax(xp, x):
    return xp.exp(x) / xp.sum(xp.exp(x))


def wrong(xp, x):
    return xp.sum(xp.exp(x)) * (1 + 0.01 * ("torch" in xp.__name__))


CHECKS = [
    (softmax, {"backends": ["numpy", "torch", "strict"]}),
    (softmax, {"backends": ["torch"], "gradient": True, "dtype": "float32"}),
    (wrong, {"backends": ["torch"]}),
]


def check(f, options):
    try:
        return str(check_agreement(f, np.linspace(0, 2, 3), runs=2, **options))
    except Disagreement as error:
        return str(error)


def state():
    """Return what a check could leave behind: all that namespaces hold, and settings of the process."""
    packages = ("array_agreement", "array_api", "numpy", "torch")
    modules = [m for name, m in sys.modules.items() if name.startswith(packages)]
    functions = [(name, id(x)) for m in modules for name, x in [*vars(m).items()] if callable(x)]
    return sys.gettrace(), np.geterr(), threading.enumerate(), functions


def raise_in_run(n, error, f, options):
    """Raise an error in the n-th run of f. The last runs of a function that disagrees are traced."""
    runs = itertools.count(1)

    def interrupted(xp, x):
        if next(runs) == n:
            raise error
        return f(xp, x)

    try:
        check(interrupted, options)
    except error:
        return True
    return False


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # lines of weakref callbacks
@pytest.mark.parametrize("is_slow", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("where", [PACKAGE, "", "run"], ids=["package", "any file", "run"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize(("f", "options"), CHECKS, ids=["agrees", "gradient", "disagrees"])
def test_an_error_at_any_line_leaves_nothing_behind(f, options, error, where, is_slow):
    verdict = check(f, options)
    before = state()
    n = 1
    while (
        raise_in_run(n, error, f, options)
        if where == "run"
        else raise_at_line(n, error, lambda: check(f, options), where)
    ):
        assert state() == before, n
        assert check(f, options) == verdict, n
        n += 1 + n // (50 if is_slow else 1)  # each of the first lines, then a share of them
    assert n > 7
