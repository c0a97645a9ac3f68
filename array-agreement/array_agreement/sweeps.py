"""A sweep calls the functions of the standard on many inputs, and finds what a library computes wrongly."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from array_agreement.adjudicate import correct, describe_result, error_in_ulps
from array_agreement.alarms import Case
from array_agreement.calls import STANDARD_NAMES
from array_agreement.families import FAMILIES, draw, families
from array_agreement.findings import Report, describe
from array_agreement.functions import DTYPES, Expression, expressions
from array_agreement.targets import InputError, Target, find_target, shorten, to_numpy

MAX_SECONDS = 600.0


def plan(functions: str, dtypes: list[str] | None) -> list[tuple[Expression, str, str]]:
    """Return (expression, dtype, family) of each case: first a family of each expression, then the next ones.

    Raises InputError: no function or dtype has such a name.
    """
    known = [dtype for names in DTYPES.values() for dtype in names]
    if unknown := set(dtypes or ()) - {*known}:
        raise InputError(f"dtypes are {sorted(unknown)}, expected some of {', '.join(known)}")
    cases = [
        (rank, expression, dtype, family)
        for expression, dtype in expressions(functions)
        if dtype in (dtypes or known)
        for rank, family in enumerate(families(expression, dtype))
    ]
    if not cases:
        raise InputError(f"no function matches {functions!r}, expected a pattern such as 'linalg.*,exp'")
    return [case[1:] for case in sorted(cases, key=lambda case: case[0])]


@np.errstate(all="ignore")
def run_case(target: Target, expression: Expression, dtype: str, family: str) -> dict[str, Any]:
    """Return the verdicts of one case: class -> kind, counts and finding."""
    arrays = draw(expression, dtype, family)
    case = Case(expression, dtype, target)
    has_layouts = FAMILIES[expression.group][family][0] == "ordinary" and family != "long"
    alarms, counts = case.alarms(arrays, case.layouts(arrays) if has_layouts else ["plain"])
    verdicts = dict[str, Any]()
    for cls, (n, unjudged) in counts.items():
        verdicts[cls] = {
            "kind": "not judged" if 0 < n == unjudged else "agrees",
            "n": n,
            "unjudged": unjudged,
        }
    for cls, alarm in alarms.items():
        verdict = verdicts.setdefault(cls, {"n": 0, "unjudged": 0})
        if alarm.kind == "missing":
            verdict.update(kind="missing", value=alarm.value)
        elif finding := case.explain(cls, arrays, alarm):
            verdict.update(describe(target, expression, finding))
        else:
            verdict.update(kind="agrees", refuted=1)
    return verdicts


def sweep(
    target: Any,
    functions: str = "*",
    dtypes: list[str] | None = None,
    budget: float = MAX_SECONDS,
    report: str | Path | None = None,
    resume: bool = False,
    known: str | Path | None = None,
    show: Callable[[str], None] = lambda line: None,
) -> Report:
    """Call the functions of the standard that a library has, and compare their results with correct ones.

    Args:
        target: a name ("torch", "jax", "torch:cuda"), a namespace, or a tuple (either, device)
        functions: pattern of names, such as "linalg.*,exp"
        dtypes: names of dtypes; None for all
        budget: seconds after which no further case begins
        report: write each case to REPORT.jsonl as it ends, and at the end REPORT.json and REPORT.md; Ctrl-C
            ends the sweep, and keeps what was found
        resume: go on from REPORT.jsonl
        known: a JSON file of findings that are expected; see docs/sweep.md
        show: called with a line of progress for each case

    Raises:
        InputError: no function, dtype or library has such a name, or a file cannot be read.
        TargetUnavailable: the library cannot run here.
    """
    library = find_target(target)
    cases = plan(functions, dtypes)
    result = Report(library, known)
    stem = str(report).removesuffix(".json") if report else None
    log = Path(f"{stem}.jsonl") if stem else None
    if log and resume and log.exists():
        result.load(log)
    elif log:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")
    start = time.monotonic()
    try:
        for number, (expression, dtype, family) in enumerate(cases):
            key = f"{expression.text}, {dtype}, {family}"
            if key in result.cases:
                continue
            if time.monotonic() - start > budget:
                break
            found = run_case(library, expression, dtype, family)
            result.cases[key] = [expression.name, dtype, found]
            if log:
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps([key, expression.name, dtype, found]) + "\n")
            show(f"{number + 1} of {len(cases)}, {shorten(key, 60)}")
    except KeyboardInterrupt:
        result.interrupted = True
    result.n_left = len(cases) - len(result.cases)
    if stem:
        result.write(stem)
    return result


@np.errstate(all="ignore")
def check_call(f: Callable[..., Any], *arrays: Any, ulps: float = 4.0) -> float:
    """Compare one elementwise function of a library with mpmath, and return the largest error in ulp.

    Args:
        f: ``xp.exp``, ``torch.exp``, ``np.arcsin``
        arrays: its arguments, arrays of its library
        ulps: largest error that is allowed, in units in the last place of the correct result

    Raises:
        AssertionError: an element errs by more. The message has the argument, the result and the correct one.
        InputError: the correct result is not known.

    >>> check_call(np.exp, np.asarray([0.5, 2.0])) <= 1
    True
    """
    name = f.__name__.replace("arc", "a")
    name = STANDARD_NAMES.get(name, name)
    letters = "xyz"[: len(arrays)]
    inputs = dict(zip(letters, np.broadcast_arrays(*map(to_numpy, arrays)), strict=True))
    exact = None
    if name.isidentifier():
        exact = correct(Expression("elementwise", f"xp.{name}({','.join(letters)})"), inputs)
    if exact is None:
        raise InputError(
            f"no correct result of {name} is known, expected an elementwise function of the standard"
        )
    value = to_numpy(f(*arrays))
    errors = np.asarray([error_in_ulps(*pair) for pair in zip(value.flat, exact.flat, strict=True)])
    if not np.max(errors, initial=0) <= ulps:
        k = int(np.argmax(errors))
        argument = ", ".join(str(x.flat[k]) for x in inputs.values())
        got = f"{name}({argument}) = {value.flat[k]}, expected {describe_result(exact.ravel()[k : k + 1])}"
        raise AssertionError(f"{got}: an error of {errors[k]:.3g} ulp, expected at most {ulps:g}")
    return float(np.max(errors, initial=0))
