"""Which call went wrong: a backend's calls one by one, each from the oracle's values."""

import operator
import sys
from dataclasses import replace
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.errors import brief
from backends.testing.bounds import Bound
from backends.testing.oracle import Oracle, default_dtype, to_numpy
from backends.testing.rounding import Rounding
from backends.testing.watched import Array, Call, leaves, narrowed, tree_map


class Replay(Rounding):
    """The oracle's hook, with each result rounded to float32, as backends hold it. The backend computes each
    call as well, until one breaks its own bound; ``found`` says which."""

    def __init__(self, backend: Backend, runs: int):
        super().__init__()
        self.backend, self.runs, self.found = backend, runs, ""

    def __call__(self, call: Call) -> Any:
        rngs = map(np.random.default_rng, range(self.runs if not self.found and call.arrays() else 0))
        runs = [leaves(Rounding(rng)(replace(call))) for rng in rngs]
        exact = super().__call__(replace(call))
        if runs:
            self.found = self.compare(call, leaves(exact), runs)
        return tree_map(lambda x: x.astype(np.float32).astype(x.dtype) if x.dtype == float else x, exact)

    def compare(self, call: Call, exact: list[Any], runs: list[list[Any]]) -> str:
        """Where and by how much the backend is wrong, or nothing."""
        try:
            results = [to_numpy(self.backend, x) for x in leaves(self.on_backend(call))]
        except Exception as error:  # each library has its own
            return f"{place()}, {call.name} raises {brief(error)}"
        for i, dtype in enumerate(leaves(call.dtypes)):
            verdict = Bound(call.name, exact[i], [run[i] for run in runs], dtype).judge(place(), results[i])
            if not verdict.agrees:
                return str(verdict)
        return ""

    def on_backend(self, call: Call) -> Any:
        xp, dtype = self.backend.xp, call.arrays()[0].dtype

        def there(x: Any) -> Any:
            if isinstance(x, Array):
                return self.backend.from_host(np.asarray(narrowed(x)))
            number = isinstance(call.function, np.ufunc) and isinstance(x, int | float | complex)
            return self.backend.from_host(np.asarray(x, dtype)) if number else x

        function = operator.attrgetter(call.name)(xp) if "special." not in call.name else call.function
        kwargs = {key: value for key, value in call.kwargs.items() if key != "device"}
        return replace(call, function=function, kwargs=kwargs).run(there, lambda d: getattr(xp, d.name))


def place() -> str:
    """file:line of the innermost caller outside of this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__package__") in (__package__, "numpy.lib"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def culprit(oracle: Oracle, backend: Backend) -> str:
    """file:line, call and error / bound of the first call that a backend gets wrong."""
    replay = Replay(backend, oracle.runs)
    oracle.watched(replay, default_dtype(backend.xp))
    return replay.found or "none, from the oracle's values each call keeps its bound"
