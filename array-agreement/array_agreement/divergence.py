"""Find where two runs of a function diverge: the statement that set the first variable that differs."""

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from array_agreement.bounds import is_close
from array_agreement.calls import unwrap_narrow
from array_agreement.oracle import Oracle
from array_agreement.rounding import FLOAT32, Rounding, largest
from array_agreement.targets import Function, Target, is_user_code, shorten, to_numpy
from array_agreement.values import outputs

MAX_SECONDS = 10.0
MAX_ELEMENTS = 1000
MAX_PARTS = 9
"""Number of elements of a list, or of attributes of an object, that are compared."""
ROUNDING_FACTORS = (1e4, 300.0, 10.0)
"""Differences up to this many roundings of the largest element do not count, at first; then smaller ones."""


@dataclass
class Variable:
    """The elements of a variable at one time, and the line of the statement that set it.

    ``kind`` is the name of the dtype, or "a Python number".
    """

    value: Any
    shape: tuple[int, ...]
    kind: str
    line: int


@dataclass
class Invocation:
    """One execution of a function, by its file and first line.

    ``steps`` maps (line, how often it ran before) to (time, variables before the line). The line of the last
    step is 0: it has the result as well.
    """

    code: tuple[str, int]
    line: int
    steps: dict[tuple[int, int], tuple[int, dict[str, Variable]]]
    count: Counter[int]
    variables: dict[str, Variable]


def trace(run: Function, convert: Function) -> list[Invocation]:
    """Run a function and return all invocations outside array libraries and the standard library.

    Args:
        run: the function
        convert: turns an array into NumPy
    """
    invocations = dict[Any, Invocation]()
    n_lines = 0
    deadline = time.monotonic() + MAX_SECONDS

    def variable(x: Any, line: int, before: Variable | None) -> Variable:
        value = np.array(convert(x))
        elements = value.ravel()[:: max(1, value.size // MAX_ELEMENTS)]
        kind = str(value.dtype) if is_array_api_obj(x) else "a Python number"
        found = Variable(elements, value.shape, kind, line)
        return before if before and _is_close(before, found, 0.0) else found

    def watch(frame: Any, event: str, result: Any) -> Any:
        nonlocal n_lines
        if not is_user_code(frame):
            return None
        if event in ("call", "exception") or time.monotonic() > deadline:
            return watch
        n_lines += 1
        code = (frame.f_code.co_filename, frame.f_code.co_firstlineno)
        invocation = invocations.setdefault(frame, Invocation(code, code[1], {}, Counter(), {}))
        returned = {"the result": result} if event == "return" else {}
        if returned:
            invocation.line = frame.f_lineno
        found = outputs({**frame.f_locals, **returned}, depth=4, limit=MAX_PARTS)
        before = invocation.variables
        # A Python bool says which code to run; what that code computes counts.
        invocation.variables = {
            name: variable(x, invocation.line, before.get(name)) for name, x in found if type(x) is not bool
        }
        invocation.line = 0 if returned else frame.f_lineno
        invocation.steps[invocation.line, invocation.count[invocation.line]] = n_lines, invocation.variables
        invocation.count[invocation.line] += 1
        return watch

    previous = sys.gettrace()
    try:
        sys.settrace(watch)
        run()
    except MemoryError:
        raise
    except Exception:  # the verdict reports it
        pass
    finally:
        sys.settrace(previous)
    return list(invocations.values())


def describe_divergence(oracle: Oracle, backend: Target) -> str:
    """Describe where a backend's run diverges from the oracle's: both values, or the lines of only one run.

    Invocations of a function are compared if they begin with the same arguments.
    """
    ours = trace(lambda: oracle.run_hooked(Rounding(), oracle.default_for(backend)), unwrap_narrow)
    theirs = trace(lambda: oracle.run(backend.xp, backend.to_array), to_numpy)
    ran = {(invocation.code[0], line) for invocation in ours for line in invocation.count}
    lines = [(invocation.code[0], line) for invocation in theirs for line in invocation.count]
    # Skip files that only the backend runs: its library's own, and those that a line listed before calls.
    alone = [place for place in lines if place not in ran and place[0] in dict(ran)]
    only = f"code that only {backend.name} runs, first {alone[0][0]}:{alone[0][1]}" if alone else ""
    for factor in ROUNDING_FACTORS:
        divergences = []
        rest = list(theirs)
        for our in ours:
            same = (
                i for i in rest if i.code == our.code and not any(_differences(our, i, 1, oracle, factor))
            )
            if their := next(same, None):
                rest.remove(their)
                divergences += list(_differences(our, their, None, oracle, factor))[:1]
        if divergences:
            _, place, name, our, their = min(divergences)
            a, b = our.value, their.value
            i: Any = ...
            if our.shape == their.shape and a.size and a.dtype.kind in "iufc":
                i = int(np.argmax(np.abs(a - b)))
            pair = f"{backend.name} has {_show(their, i)}, the oracle {_show(our, i)}"
            return f"they diverge at {place}, which sets {name!r}: {pair}" + f"; there is {only}" * bool(only)
    if alone:
        return f"the mistake is in {only}"
    return "both run the same lines, with the same variables up to rounding"


def _differences(
    ours: Invocation, theirs: Invocation, n: int | None, oracle: Oracle, factor: float
) -> Iterator[Any]:
    """Yield (time, place, name, our variable, their variable) for each difference in the first n lines.

    The place is the statement that set their variable, or ours if only we set it.
    """
    before = dict[str, Variable]()
    for key, (moment, variables) in list(ours.steps.items())[:n]:
        found = theirs.steps.get(key, (0, {}))[1]
        for name, a in variables.items():
            b = found.get(name)
            if not b:
                continue
            line = a.line if b is before.get(name) else b.line
            u = FLOAT32.u if b.value.dtype.char == "f" else oracle.limit.u
            if not _is_close(a, b, factor * u):
                yield moment, f"{ours.code[0]}:{line}", name, a, b
        before |= found


def _show(x: Variable, i: Any) -> str:
    shape = f" of shape {x.shape}" if i is ... and x.shape else ""
    return f"{shorten(x.value[i], 60)} ({x.kind}{shape})"


def _is_close(ours: Variable, theirs: Variable, tolerance: float) -> bool:
    """Return whether two variables are equal up to ``tolerance`` times the largest element."""
    a, b = ours.value, theirs.value
    if (ours.shape, ours.kind) != (theirs.shape, theirs.kind):
        return False
    if a.dtype.kind not in "biufc":
        return True
    return is_close(b, a, tolerance * largest(a))
