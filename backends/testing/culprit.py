"""Which call went wrong, or its derivative: one by one, each from the oracle's values."""

import operator
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.errors import InputError
from backends.testing.bounds import Verdict
from backends.testing.gradient import Gradient
from backends.testing.oracle import Oracle, default_dtype
from backends.testing.rounding import Rounding
from backends.testing.watched import Call, tree_map, unwrap_narrow


class Replay(Rounding):
    """The oracle's hook, with each result rounded to float32, as backends hold it. The backend computes each
    call as well, or its derivative, until one breaks its own bound; ``found`` says which."""

    def __init__(self, backend: Backend, runs: int, derivative: bool):
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
        """As of a function that is this call."""
        oracle = Oracle(
            partial(call_in, call), [np.asarray(unwrap_narrow(x)) for x in call.arrays()], self.runs
        )
        try:
            found = Gradient(oracle).judge(self.backend) if self.derivative else oracle.judge(self.backend)
        except InputError:  # the gradient of integers
            return []
        return [replace(verdict, backend=caller_location(), output=call.name) for verdict in found or []]


def call_in(call: Call, xp: Any, *arrays: Any) -> Any:
    """A call in another namespace, with these arrays for its own."""
    others = dict(zip(map(id, call.arrays()), arrays, strict=True))

    def there(x: Any) -> Any:
        if isinstance(call.function, np.ufunc) and isinstance(x, int | float | complex):
            device = getattr(arrays[0], "device", None)  # what JAX traces has none
            return xp.asarray(np.asarray(x, call.arrays()[0].dtype), device=device)
        return others.get(id(x), x)

    function = operator.attrgetter(call.name)(xp) if "special." not in call.name else call.function
    kwargs = {key: value for key, value in call.kwargs.items() if key != "device"}
    return replace(call, function=function, kwargs=kwargs).run(there, lambda d: getattr(xp, d.name))


def caller_location() -> str:
    """file:line of the innermost caller outside of this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__package__") in (__package__, "numpy.lib"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def describe_first_error(oracle: Oracle, backend: Backend, derivative: bool = False) -> str:
    """What is wrong first, a call or a derivative, and where: file:line, call and error / bound."""
    replay = Replay(backend, oracle.runs, derivative)
    said = "derivative" if derivative else "call"
    oracle.run_hooked(replay, default_dtype(backend.xp))
    none = f"none, from the oracle's values each {said} keeps its bound"
    return f"first wrong {said}: {replay.found or none}"
