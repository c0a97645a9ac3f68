"""Which call went wrong, or its derivative: one by one, each from the oracle's values."""

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.errors import InputError, brief
from backends.testing.bounds import Bound
from backends.testing.gradient import Gradient
from backends.testing.oracle import Oracle, default_dtype, to_numpy
from backends.testing.rounding import Rounding
from backends.testing.watched import Call, leaves, narrowed, tree_map


class Replay(Rounding):
    """The oracle's hook, with each result rounded to float32, as backends hold it. The backend computes each
    call as well, until one breaks its own bound; ``found`` says which."""

    said = "call"

    def __init__(self, backend: Backend, runs: int):
        super().__init__()
        self.backend, self.runs, self.found = backend, runs, ""

    def __call__(self, call: Call) -> Any:
        if not self.found and call.arrays():
            self.found = self.compare(call)
        exact = super().__call__(replace(call))
        return tree_map(lambda x: x.astype(np.float32).astype(x.dtype) if x.dtype == float else x, exact)

    def compare(self, call: Call) -> str:
        """Where and by how much the backend is wrong, or nothing."""
        exact = leaves(Rounding()(replace(call)))
        runs = [leaves(Rounding(np.random.default_rng(i))(replace(call))) for i in range(self.runs)]
        put = self.backend.from_host
        try:
            there = elsewhere(call, self.backend.xp, put, [put(x) for x in numbers(call)])
            results = [to_numpy(self.backend, x) for x in leaves(there)]
        except Exception as error:  # each library has its own
            return f"{place()}, {call.name} raises {brief(error)}"
        for i, dtype in enumerate(leaves(call.dtypes)):
            verdict = Bound(call.name, exact[i], [run[i] for run in runs], dtype).judge(place(), results[i])
            if not verdict.agrees:
                return str(verdict)
        return ""


class Slopes(Replay):
    """The same for derivatives: that of each call by itself."""

    said = "derivative"

    def compare(self, call: Call) -> str:
        def f(xp: Any, *arrays: Any) -> Any:
            return elsewhere(call, xp, xp.asarray, arrays)

        try:
            verdicts = Gradient(Oracle(f, numbers(call), self.runs)).judge(self.backend)
        except InputError:  # of integers, or without real numbers
            return ""
        return "".join(
            str(replace(v, backend=place(), output=call.name)) for v in verdicts or [] if not v.agrees
        )


def numbers(call: Call) -> list[Any]:
    """What a call's arrays hold, in the dtypes that they say."""
    return [np.asarray(narrowed(x)) for x in call.arrays()]


def elsewhere(call: Call, xp: Any, put: Callable[[Any], Any], arrays: Sequence[Any]) -> Any:
    """A call in another namespace, with these arrays for its own; ``put`` makes one of a number there."""
    own = call.arrays()
    others = dict(zip(map(id, own), arrays, strict=True))

    def there(x: Any) -> Any:
        number = isinstance(call.function, np.ufunc) and isinstance(x, int | float | complex)
        return put(np.asarray(x, own[0].dtype)) if number else others.get(id(x), x)

    function = operator.attrgetter(call.name)(xp) if "special." not in call.name else call.function
    kwargs = {key: value for key, value in call.kwargs.items() if key != "device"}
    return replace(call, function=function, kwargs=kwargs).run(there, lambda d: getattr(xp, d.name))


def place() -> str:
    """file:line of the innermost caller outside of this package."""
    frame: Any = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__package__") in (__package__, "numpy.lib"):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def culprit(oracle: Oracle, backend: Backend, kind: type[Replay] = Replay) -> str:
    """What is wrong first, and where: file:line, call and error / bound."""
    replay = kind(backend, oracle.runs)
    oracle.watched(replay, default_dtype(backend.xp))
    none = f"none, from the oracle's values each {kind.said} keeps its bound"
    return f"first wrong {kind.said}: {replay.found or none}"
