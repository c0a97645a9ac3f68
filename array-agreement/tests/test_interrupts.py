"""A check that is interrupted at any line leaves nothing behind."""

import itertools
import signal
import sys
import threading

import numpy as np
import pytest
from interrupts import PACKAGE, raise_at_line

from array_agreement import Disagreement, check_agreement


def softmax(xp, x):
    return xp.exp(x) / xp.sum(xp.exp(x))


def wrong(xp, x):
    return xp.sum(xp.exp(x)) * (1 + 0.01 * ("torch" in xp.__name__))


CHECKS = {
    "agrees": (softmax, {"backends": ["numpy", "torch", "strict"]}),
    "gradient": (softmax, {"backends": ["torch"], "gradient": True, "dtype": "float32"}),
    "disagrees": (wrong, {"backends": ["torch"]}),
}


def check(name, f=None):
    function, options = CHECKS[name]
    try:
        return str(check_agreement(f or function, np.linspace(0, 2, 3), runs=2, **options))
    except Disagreement as error:
        return str(error)


def state():
    """Return what a check could leave behind: all that its namespaces hold, and settings of the process."""
    packages = ("array_agreement", "array_api", "numpy", "torch")
    modules = [m for name, m in sys.modules.items() if name.partition(".")[0].startswith(packages)]
    functions = [(name, id(x)) for m in modules for name, x in [*vars(m).items()] if callable(x)]
    handlers = [signal.getsignal(x) for x in (signal.SIGINT, signal.SIGTERM)]
    return sys.gettrace(), np.geterr(), threading.enumerate(), handlers, functions


def require_nothing_left(name, verdict, before, moment):
    assert state() == before, moment
    assert check(name) == verdict, moment


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # lines of weakref callbacks
@pytest.mark.parametrize("every_line", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("folder", [PACKAGE, ""], ids=["package", "any file"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("name", CHECKS)
def test_an_error_at_any_line_leaves_nothing_behind(name, error, folder, every_line):
    verdict = check(name)
    before = state()
    n = 1
    while raise_at_line(n, error, lambda: check(name), folder):
        require_nothing_left(name, verdict, before, n)
        n += 1 if every_line else 1 + n // 5  # from all of the first lines to some of the last


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("name", CHECKS)
def test_an_error_in_any_run_of_the_function_ends_the_check(name, error):
    """The last runs of a function that disagrees are traced."""
    verdict = check(name)
    before = state()
    for n in itertools.count(1):
        runs = itertools.count(1)

        def f(xp, x, n=n, runs=runs):
            if next(runs) == n:
                raise error
            return CHECKS[name][0](xp, x)

        try:
            check(name, f)
        except error:
            require_nothing_left(name, verdict, before, n)
        else:
            break
    assert n > 3
