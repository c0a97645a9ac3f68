"""Mutation testing: insert one mistake at a time into NumPy's operations and judge the outputs.

The share of detected mutants is the power of a test.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from array_agreement.bounds import is_close
from array_agreement.calls import Call, unwrap
from array_agreement.oracle import Oracle
from array_agreement.rounding import ELEMENTARY_FUNCTIONS, ROUNDED_ONCE, SUMS_AND_DOTS
from array_agreement.targets import Target, words
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


MISTAKES: dict[str, tuple[Callable[[Call], Any], Callable[[Call], Any]]] = {
    "narrow accumulation": (lambda c: c.name in SUMS_AND_DOTS,
                            lambda c: c.dtypes.type(c.compute(_to_narrow))),
    "narrow result": (lambda c: c.dtypes.kind == "f"
                      and (c.name in ROUNDED_ONCE | ELEMENTARY_FUNCTIONS or "special." in c.name),
                      lambda c: c.dtypes.type(_to_narrow(np.asarray(c.compute())))),
    "float64 result": (lambda c: c.dtypes == np.float32, lambda c: np.float64(c.compute())),
    "ddof": (lambda c: c.name in ("var", "std"),
             lambda c: _call_with(c, correction=c.kwargs.get("correction", 0) + 1)),
    "axis off by one": (lambda c: type(c.kwargs.get("axis")) is int and c.arrays and c.arrays[0].ndim > 1,
                        lambda c: _call_with(c, axis=(c.kwargs["axis"] + 1) % c.arrays[0].ndim)),
    "dropped term": (lambda c: c.name in words("sum mean prod matmul max min all any"), _drop_last_term),
    "swapped arguments": (lambda c: c.name in NONCOMMUTATIVE,
                          lambda c: replace(c, args=(*c.args[:-2], c.args[-1], c.args[-2])).compute()),
}  # fmt: skip
"""For each mistake: which calls can make it, and a function that returns the wrong result."""


class PlantedMistake:
    """A hook for a narrow namespace: each call of ``operation`` makes ``mistake``.

    The mistake is one of MISTAKES or "stale buffer". A stale buffer holds the first result of the same
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
        possible = {(call.name, mistake) for mistake, (can_make, _) in MISTAKES.items() if can_make(call)}
        key = (call.name, np.shape(result), call.dtypes)
        if key in self.first:
            possible.add((call.name, "stale buffer"))
        self.candidates |= possible
        old = self.first.setdefault(key, result)
        if self.mutant in possible:
            mistake = self.mutant[1]
            result = old if mistake == "stale buffer" else MISTAKES[mistake][1](call)
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
