"""Find where two runs of a function diverge: the first variable that differs, or a line of only one run."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from array_agreement.bounds import equal_or_nan
from array_agreement.oracle import Oracle, default_dtype
from array_agreement.rounding import FLOAT32, Rounding
from array_agreement.targets import Target, is_user_code, shorten
from array_agreement.trees import leaves
from array_agreement.watched import unwrap_narrow

MAX_LINES = 20_000
MAX_ELEMENTS = 1000
ROUNDING_FACTOR = 1e4
"""Differences up to this many roundings of the largest element do not count."""


@dataclass
class Invocation:
    """One execution of a function, by its file and first line.

    ``lines`` maps (line, how often it ran before) to (time, variables before the line).
    """

    code: tuple[str, int]
    lines: dict[tuple[int, int], tuple[int, dict[str, Any]]] = field(default_factory=dict)
    count: Counter[int] = field(default_factory=Counter)


def trace(run: Callable[[], Any], convert: Callable[[Any], Any]) -> list[Invocation]:
    """Run a function and return all invocations outside array libraries and the standard library.

    Args:
        run: the function
        convert: turns an array into NumPy
    """
    invocations = dict[Any, Invocation]()
    n_lines = 0

    def snapshot(x: Any) -> list[Any]:
        found = [x for x in leaves(x)[:9] if isinstance(x, int | float) or is_array_api_obj(x)]
        arrays = [np.array(convert(x)) for x in found if not isinstance(x, type)]
        return [x.ravel()[:: max(1, x.size // MAX_ELEMENTS)] for x in arrays]

    def watch(frame: Any, event: str, _: Any) -> Any:
        nonlocal n_lines
        if not is_user_code(frame):
            return None
        if event == "line" and n_lines < MAX_LINES:
            n_lines += 1
            code = (frame.f_code.co_filename, frame.f_code.co_firstlineno)
            invocation = invocations.setdefault(frame, Invocation(code))
            variables = {name: snapshot(value) for name, value in frame.f_locals.items()}
            invocation.lines[frame.f_lineno, invocation.count[frame.f_lineno]] = (n_lines, variables)
            invocation.count[frame.f_lineno] += 1
        return watch

    previous = sys.gettrace()
    sys.settrace(watch)
    try:
        run()
    except Exception:  # the verdict reports it
        pass
    finally:
        sys.settrace(previous)
    return list(invocations.values())


def describe_divergence(oracle: Oracle, backend: Target) -> str:
    """Describe where a backend's run diverges from the oracle's: both values, or the lines of only one run.

    Invocations of a function are compared if they begin with the same arguments.
    """
    ours = trace(lambda: oracle.run_hooked(Rounding(), default_dtype(backend.xp)), unwrap_narrow)
    theirs = trace(lambda: oracle.run(backend.xp, backend.to_array), backend.to_numpy)
    ran = {(invocation.code[0], line) for invocation in ours for line in invocation.count}
    alone = [(i.code[0], line) for i in theirs for line in i.count if (i.code[0], line) not in ran]
    divergences = []
    for our in ours:
        same = (i for i in theirs if i.code == our.code and not any(_differences(our, i, 1, oracle.limit.u)))
        if their := next(same, None):
            theirs.remove(their)
            divergences += list(_differences(our, their, None, oracle.limit.u))[:1]
    if divergences:
        _, line, name, a, b = min(divergences, key=lambda found: found[0])
        i = int(np.argmax(np.abs(a - b))) if a.shape == b.shape and a.size else ...
        pair = f"{backend.name} has {_show(b, i)}, the oracle {_show(a, i)}"
        return f"they diverge before {line}: in {name!r}, {pair}"
    if alone:
        return f"the mistake is in code that only {backend.name} runs, first {alone[0][0]}:{alone[0][1]}"
    return "both run the same lines, with the same variables up to rounding"


def _differences(ours: Invocation, theirs: Invocation, n: int | None, u: float) -> Iterator[Any]:
    """Yield (time, place, variable, our value, theirs) for differences before the first n lines."""
    for key, (time, variables) in list(ours.lines.items())[:n]:
        found = theirs.lines.get(key, (0, {}))[1]
        for name in variables:
            for a, b in zip(variables[name], found.get(name, ()), strict=False):
                if not _is_close(a, b, u):
                    yield time, f"{ours.code[0]}:{key[0]}", name, a, b


def _show(x: Any, i: Any) -> str:
    return f"{shorten(x[i], 60)} ({x.dtype})"


def _is_close(a: Any, b: Any, u: float) -> bool:
    """Return whether two arrays are equal up to rounding."""
    if a.shape != b.shape:
        return False
    if a.dtype.kind not in "iufc" or b.dtype.kind not in "iufc":
        return True
    if a.size > 1 and a.dtype.kind == b.dtype.kind and a.dtype != b.dtype:
        return False
    with np.errstate(all="ignore"):
        scale = np.max(np.abs(a), initial=0, where=np.isfinite(a))
        near = np.abs(a - b) <= ROUNDING_FACTOR * max(u, FLOAT32.u if b.dtype.char == "f" else 0) * scale
    return bool(np.all(near | equal_or_nan(a, b)))
