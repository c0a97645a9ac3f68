"""Search for the first wrong call or derivative of a function on a backend.

The backend computes each call of the function alone, from the oracle's values. So an error in one call does
not change the arguments of the next.
"""

import operator
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from array_agreement.bounds import Verdict
from array_agreement.gradient import Gradient
from array_agreement.oracle import Oracle, default_dtype
from array_agreement.rounding import Rounding
from array_agreement.targets import InputError, Target
from array_agreement.watched import Call, tree_map, unwrap_narrow


class Replay(Rounding):
    """A hook that runs the oracle and compares a backend with it on each call.

    The results are rounded to float32, as backends store them. The search ends at the first call that breaks
    its bound; ``found`` then describes the call.

    Args:
        backend: the backend to compare
        runs: number of perturbed runs for the bound of a call
        derivative: compare derivatives instead of values
    """

    def __init__(self, backend: Target, runs: int, derivative: bool):
        super().__init__()
        self.backend = backend
        self.runs = runs
        self.derivative = derivative
        self.found = ""

    def __call__(self, call: Call) -> Any:
        if not self.found and call.arrays():
            self.found = "".join(str(verdict) for verdict in self.judge(call) if not verdict.agrees)
        exact = super().__call__(replace(call))
        return tree_map(lambda x: x.astype(np.float32).astype(x.dtype) if x.dtype == float else x, exact)

    def judge(self, call: Call) -> list[Verdict]:
        """Compare the backend on a function that consists of this call."""
        oracle = Oracle(
            partial(repeat_call, call), [np.asarray(unwrap_narrow(x)) for x in call.arrays()], self.runs
        )
        try:
            found = Gradient(oracle).judge(self.backend) if self.derivative else oracle.judge(self.backend)
        except InputError:  # integers have no gradient
            return []
        return [replace(verdict, backend=caller_location(), output=call.name) for verdict in found or []]


def repeat_call(call: Call, xp: Any, *arrays: Any) -> Any:
    """Repeat a call in the namespace ``xp``, with ``arrays`` in place of its arrays."""
    replacements = dict(zip(map(id, call.arrays()), arrays, strict=True))

    def convert(x: Any) -> Any:
        if isinstance(call.function, np.ufunc) and isinstance(x, int | float | complex):
            device = getattr(arrays[0], "device", None)  # JAX's tracers have no device
            return xp.asarray(np.asarray(x, call.arrays()[0].dtype), device=device)
        return replacements.get(id(x), x)

    function = operator.attrgetter(call.name)(xp) if "special." not in call.name else call.function
    kwargs = {key: value for key, value in call.kwargs.items() if key != "device"}
    return replace(call, function=function, kwargs=kwargs).run(convert, lambda d: getattr(xp, d.name))


def caller_location() -> str:
    """Return "file:line" of the innermost caller outside this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__package__") in (__package__, "numpy.lib"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def describe_first_error(oracle: Oracle, backend: Target, derivative: bool) -> str:
    """Describe the first call on a backend with a wrong value or derivative.

    Returns "first wrong call: file:line, operation: error / bound = ...".
    """
    replay = Replay(backend, oracle.runs, derivative)
    kind = "derivative" if derivative else "call"
    oracle.run_hooked(replay, default_dtype(backend.xp))
    none = f"none, each {kind} computed from the oracle's values is within its bound"
    return f"first wrong {kind}: {replay.found or none}"
