"""A sweep calls the functions of the standard on many inputs, and finds what a library computes wrongly."""

import time
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from array_api_compat import is_jax_namespace

from array_agreement.adjudicate import correct, describe_result, errors_in_ulps
from array_agreement.alarms import LAYOUTS, Alarm, Case
from array_agreement.calls import STANDARD_NAMES
from array_agreement.families import draw, families
from array_agreement.findings import Report, describe
from array_agreement.functions import DTYPES, Expression, expressions
from array_agreement.targets import Function, InputError, Target, find_target, shorten, to_numpy

MAX_SECONDS = 600.0


def plan(functions: str, dtypes: list[str] | None) -> list[tuple[Expression, str, str]]:
    """Return (expression, dtype, family) of each case: first a family of each expression, then the next ones.

    Raises InputError: no function or dtype has such a name.
    """
    known = " ".join(DTYPES.values()).split()
    if unknown := set(dtypes or ()) - {*known}:
        raise InputError(f"dtypes are {sorted(unknown)}, expected some of {', '.join(known)}")
    calls = [call for call in expressions(functions) if call[1] in (dtypes or known)]
    if not calls:
        raise InputError(f"no function matches {functions!r}, expected a pattern such as 'linalg.*,exp'")
    ranks = zip_longest(*([(*call, family) for family in families(*call)] for call in calls))
    return [case for rank in ranks for case in rank if case]


@np.errstate(all="ignore")
def run_case(target: Target, expression: Expression, dtype: str, family: str) -> dict[str, Any]:
    """Return the verdicts of one case: class -> kind and finding."""
    layouts = [*LAYOUTS][: 2 if is_jax_namespace(target.xp) else None]  # JAX has no strides
    if not expression.is_elementwise:
        layouts.remove("tiled")
    if not family.startswith("ordinary "):
        layouts = ["plain"]
    case = Case(expression, dtype, target)
    alarms, judged = case.alarms(draw(expression, dtype, family), layouts)
    verdicts: dict[str, Any] = {c: {"kind": "agrees" if judged[c] else "not judged"} for c in judged}
    for cls, alarm in alarms.items():
        if alarm.kind == "missing":
            verdicts[cls] = {"kind": "missing", "value": alarm.value}
        elif finding := case.explain(cls, alarm):
            verdicts[cls] = describe(target, expression, finding)
        else:
            verdicts[cls] = {"kind": "agrees", "refuted": 1}
    return verdicts


def sweep(
    target: Any,
    functions: str = "*",
    dtypes: list[str] | None = None,
    budget: float = MAX_SECONDS,
    report: str | Path | None = None,
    resume: bool = False,
    known: str | Path | None = None,
    show: Function = lambda line: None,
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
    result = Report(library, known, report, resume)
    start = time.monotonic()
    try:
        for number, (expression, dtype, family) in enumerate(cases):
            key = f"{expression.text}, {dtype}, {family}"
            if key in result.cases:
                continue
            if time.monotonic() - start > budget:
                break
            result.log(key)
            if key == result.unfinished:
                arrays = draw(expression, dtype, family)
                died = Alarm("raises", arrays, "plain", "the process died", correct="a result")
                found = {"ordinary": describe(library, expression, died)}
            else:
                found = run_case(library, expression, dtype, family)
            result.cases[key] = [expression.name, dtype, found]
            result.log(key, *result.cases[key])
            show(f"{number + 1} of {len(cases)}, {shorten(key, 60)}")
    except KeyboardInterrupt:
        result.interrupted = True
    finally:
        result.log("")  # without it, the process died in the last case
    result.n_left = len(cases) - len(result.cases)
    if report:
        result.write()
    return result


@np.errstate(all="ignore")
def check_call(f: Function, *arrays: Any, ulps: float = 4.0) -> float:
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
    inputs = dict(zip("xyz", np.broadcast_arrays(*map(to_numpy, arrays)), strict=False))
    value = to_numpy(f(*arrays))
    exact = None
    if name.isidentifier():
        call = Expression("elementwise", f"xp.{name}({','.join(inputs)})")
        exact = correct(call, inputs, value.dtype.kind)
    if exact is None:
        expected = "expected an elementwise function of the standard"
        raise InputError(f"no correct result of {name} is known, {expected}")
    errors = errors_in_ulps(value, exact)
    worst = float(np.max(errors, initial=0))
    if not worst <= ulps:
        i = np.unravel_index(np.argmax(errors), errors.shape)
        argument = ", ".join(str(x[i]) for x in inputs.values())
        got = f"{name}({argument}) = {value[i]}, expected {describe_result(exact[i])}"
        raise AssertionError(f"{got}: an error of {worst:.3g} ulp, expected at most {ulps:g}")
    return worst
