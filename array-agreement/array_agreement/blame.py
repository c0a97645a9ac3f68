"""Find the cause of a disagreement: the first wrong call, and which side is wrong if a rule decides.

The backend computes each call of the function alone, from the oracle's values. So an error in one call does
not change the arguments of the next.
"""

import operator
import time
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from array_agreement.bounds import Verdict
from array_agreement.calls import WIDER_DTYPES, Call, unwrap_narrow
from array_agreement.divergence import describe_divergence
from array_agreement.gradient import Gradient
from array_agreement.oracle import Oracle
from array_agreement.rounding import EXTENDED_CALLS, FLOAT64, Rounding
from array_agreement.targets import InputError, Target, caller_location, default_dtype, words
from array_agreement.values import tree_map

MAX_SEARCH_SECONDS = 30.0
UNSPECIFIED = words("linalg.svd linalg.qr linalg.eigh linalg.eig unique_values from_numpy")
"""Calls with vectors of any sign or elements in any order, which may differ without being wrong."""


class Replay(Rounding):
    """Hook of a watched namespace: on each call it runs the oracle and compares the backend's result with it.

    The search ends at the first call that breaks its bound; ``found`` then describes the call.

    Args:
        backend: the backend to compare
        derivative: compare derivatives instead of values
    """

    found = ""
    is_extended: Any = False
    """The oracle computed the wrong call in a wider dtype."""

    def __init__(self, backend: Target, derivative: bool):
        super().__init__()
        self.backend = backend
        self.derivative = derivative
        self.deadline = time.monotonic() + MAX_SEARCH_SECONDS

    def __call__(self, call: Call) -> Any:
        is_search = not self.found and time.monotonic() < self.deadline
        if is_search and call.arrays and call.name not in UNSPECIFIED:
            self.found = self.describe_error(call)
            is_wider = all(WIDER_DTYPES.get(x.dtype) != x.dtype for x in call.arrays)
            self.is_extended = self.found and is_wider and call.name in EXTENDED_CALLS
        return super().__call__(call)

    def describe_error(self, call: Call) -> str:
        """Return "file:line, operation: error / bound = ..., element" if the error arises in this call.

        An error is not reported here if the backend lacks the call, or if the call returns other parts.
        """
        arrays = [unwrap_narrow(x) for x in call.arrays]
        dtype = "float32" if self.derivative else None
        oracle = Oracle(partial(repeat_call, call), arrays, dtype=dtype)
        try:
            found = Gradient(oracle).judge(self.backend) if self.derivative else oracle.judge(self.backend)
        except InputError:  # integers have no gradient
            return ""
        wrong = [v for v in found if not v.ratio <= 1 and v.output not in ("call", "results")]
        head = f"{caller_location()}, {call.name}: error / bound = "
        return "; ".join(", ".join(filter(None, (f"{head}{v.ratio:.3g}", v.element, v.note))) for v in wrong)


def repeat_call(call: Call, xp: Any, *arrays: Any) -> Any:
    """Repeat a call in the namespace ``xp``, with ``arrays`` in place of its arrays."""
    replacements = dict(zip(map(id, call.arrays), arrays, strict=True))
    device = getattr(arrays[0], "device", None)  # JAX's tracers have no device

    def convert(x: Any) -> Any:
        return replacements.get(id(x), x)

    def convert_operand(x: Any) -> Any:  # a ufunc's number: functions of the standard need an array
        if not isinstance(x, int | float | complex):
            return convert(x)
        return xp.asarray(np.asarray(x, np.result_type(call.arrays[0].dtype, x)), device=device)

    args = tree_map(convert_operand, tuple(call.args)) if isinstance(call.function, np.ufunc) else call.args
    function = operator.attrgetter(call.name)(xp) if "special." not in call.name else call.function
    kwargs = {key: value for key, value in call.kwargs.items() if key != "device"}
    repeated = replace(call, function=function, args=args, kwargs=kwargs)
    return repeated.run(convert, lambda d: getattr(xp, d.name))


def describe_default(oracle: Oracle, backend: Target) -> str:
    """Describe a forgotten dtype: with the backend's default dtype, the oracle has the backend's results."""
    default = default_dtype(backend.xp)
    if default == oracle.default_for(backend) or not all(
        verdict.ratio <= 1 and verdict.output != "call" for verdict in oracle.judge(backend, default=default)
    ):
        return ""
    rounds = "float32 roundings in a float64 result: " * (default == "float32")
    places = ", ".join(sorted(oracle.spaces[default].default_places))
    return f"{rounds}without dtype=, new arrays are {default} on {backend.name}; pass one at {places}"


def explain(oracle: Oracle, backend: Target, verdicts: list[Verdict], derivative: bool = False) -> None:
    """Write the first wrong call into the note of the first wrong verdict, and mark undecided ones.

    A backend is called wrong if a dtype was forgotten, if its own float64 answer agrees with the oracle of
    float32, or if the first wrong call is one that the oracle computes in a wider dtype. Otherwise there are
    two answers.
    """
    wrong = [verdict for verdict in verdicts if not verdict.ratio <= 1]
    if not wrong or wrong[0].output == "call":  # an exception says where it was raised
        return
    if not derivative and (reason := describe_default(oracle, backend)):
        wrong[0].add(reason)
        return
    replay = Replay(backend, derivative)
    oracle.run_hooked(replay, oracle.default_for(backend))
    kind = "derivative" if derivative else "call"
    notes = [f"first wrong {kind}: {replay.found or 'none found'}"]
    if not replay.found and not derivative:
        notes.append(describe_divergence(oracle, backend))
    answers = verdicts if oracle.limit is FLOAT64 else oracle.judge(backend, wide=True)
    differing = {verdict.output for verdict in answers if verdict.element}
    for verdict in wrong:
        if verdict.element and verdict.output in differing and not (derivative or replay.is_extended):
            verdict.two_answers = True
            verdict.add("another answer than the oracle; no rule decides who is right")
    wrong[0].add(*notes)
