"""Mutation testing: insert one mistake at a time into NumPy's operations and judge the outputs.

The share of detected mutants is the power of a test.
"""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from array_agreement.bounds import is_close
from array_agreement.calls import Call, unwrap
from array_agreement.oracle import Oracle
from array_agreement.rounding import FACTORS, SUMS_AND_DOTS
from array_agreement.targets import Function, Target, words
from array_agreement.watched import WatchedNamespace

NONCOMMUTATIVE = words("subtract divide pow remainder copysign atan2 matmul where less less_equal greater")
MIN_SECONDS = 2.0
"""Limit of a mutant's CPU time, besides 20 times that of the function."""
OUTCOMES = ("noticed", "survived", "equivalent")
"""Outcomes of a mutant by rank: if tests differ, the first one counts."""


def _to_narrow(x: Any) -> Any:
    """Convert float32 to float16 and float64 to float32; return other objects unchanged."""
    narrow = {"f": np.float16, "d": np.float32}.get(getattr(getattr(x, "dtype", None), "char", ""))
    return unwrap(x).astype(narrow) if narrow else unwrap(x)


def _drop_last_term(c: Call) -> Any:
    """Compute a reduction without the last element of its axis, or a matrix product without the last term."""
    x, *others = (a.value for a in c.arrays)
    if others:
        return x[..., :-1] @ (others[0][:-1] if others[0].ndim == 1 else others[0][..., :-1, :])
    axis = c.kwargs.get("axis")
    return c.function(x.reshape(-1)[:-1] if axis is None else np.delete(x, -1, axis), **c.kwargs)


def _call_with(c: Call, **kwargs: Any) -> Any:
    return replace(c, kwargs={**c.kwargs, **kwargs}).compute()


def wrong_results(c: Call) -> Iterator[tuple[str, Function]]:
    """Yield (mistake, function that returns the wrong result) for each mistake that a call can make."""
    axis = c.kwargs.get("axis")
    if c.name in SUMS_AND_DOTS:
        yield "narrow accumulation", lambda: c.dtypes.type(c.compute(_to_narrow))
    if c.dtypes.kind == "f" and (c.name in FACTORS or "special." in c.name):
        yield "narrow result", lambda: c.dtypes.type(_to_narrow(np.asarray(c.compute())))
    if c.dtypes == np.float32:
        yield "float64 result", lambda: np.float64(c.compute())
    if c.name in ("var", "std"):
        yield "ddof", lambda: _call_with(c, correction=c.kwargs.get("correction", 0) + 1)
    if type(axis) is int and c.arrays and c.arrays[0].ndim > 1:
        yield "axis off by one", lambda: _call_with(c, axis=(axis + 1) % c.arrays[0].ndim)
    if c.name in words("sum mean prod matmul max min all any"):
        yield "dropped term", lambda: _drop_last_term(c)
    if c.name in NONCOMMUTATIVE:
        yield "swapped arguments", lambda: replace(c, args=(*c.args[:-2], c.args[-1], c.args[-2])).compute()


class PlantedMistake:
    """A hook for a narrow namespace: each call of ``operation`` makes ``mistake``.

    The mistake is one of wrong_results() or "stale buffer". A stale buffer holds the first result of the same
    operation, shape and dtype. ``candidates`` collects every (operation, mistake) that the calls of a run
    allow.
    """

    def __init__(self, operation: str = "", mistake: str = ""):
        self.mutant = (operation, mistake)
        self.candidates = set[tuple[str, str]]()
        self.first = dict[Any, Any]()

    def __call__(self, call: Call) -> Any:
        result = call.compute()
        if not isinstance(call.dtypes, np.dtype):
            return result
        wrong = dict(wrong_results(call))
        key = (call.name, np.shape(result), call.dtypes)
        first = self.first.setdefault(key, result)
        if first is not result:
            wrong["stale buffer"] = lambda: first
        self.candidates |= {(call.name, mistake) for mistake in wrong}
        operation, mistake = self.mutant
        if operation == call.name and mistake in wrong:
            result = wrong[mistake]()
            call.dtypes = call.dtypes if call.wide else np.asarray(result).dtype
        return result

    def backend(self) -> Target:
        """Return a NumPy backend in float32 that makes the mistake."""
        space = WatchedNamespace(wide=False)
        space.hook = self
        return Target("numpy with {1} in {0}".format(*self.mutant), space)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeoutError after ``seconds`` of CPU time, also in a loop that calls nothing; not on Windows.

    Other processes do not use up CPU time, so a busy machine stops no mutant that ends.
    """

    def stop(*_: Any) -> None:
        raise TimeoutError

    if not hasattr(signal, "setitimer"):
        yield
        return
    previous = signal.getsignal(signal.SIGPROF)
    try:
        signal.signal(signal.SIGPROF, stop)
        signal.setitimer(signal.ITIMER_PROF, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)


@np.errstate(all="ignore")
def mutants(oracle: Oracle) -> dict[tuple[str, str], str]:
    """Insert each possible mistake and judge the outputs.

    A mutant that runs into its time limit, such as an endless loop, is noticed.

    Returns:
        One of OUTCOMES for each (operation, mistake). "equivalent" means that no test can notice the mistake:
        in a wider dtype it changes no output by more than one rounding, or float64 results only made the
        outputs more exact without a change of their dtypes.
    """

    def outcome(*mutant: str) -> str:
        try:
            with time_limit(seconds):
                verdicts = oracle.judge(PlantedMistake(*mutant).backend())
                if not all(verdict.agrees for verdict in verdicts):
                    return "noticed"
                mutated = oracle.try_run(PlantedMistake(*mutant), default)
        except (TimeoutError, MemoryError):  # outside f
            return "noticed"
        same = mutated.keys() == right.keys() and all(
            is_close(
                unwrap(mutated[name]), unwrap(x), oracle.bounds(default)[name].limit.u * np.abs(unwrap(x))
            )
            for name, x in right.items()
        )
        return "equivalent" if same or mutant[1] == "float64 result" else "survived"

    default = oracle.default or "float64"
    healthy = PlantedMistake()
    start = time.process_time()
    right = oracle.try_run(healthy, default)
    seconds = MIN_SECONDS + 20 * (time.process_time() - start)
    return {mutant: outcome(*mutant) for mutant in sorted(healthy.candidates)}
