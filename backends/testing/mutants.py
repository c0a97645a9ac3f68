"""Power: is a backend with one wrong operation noticed? NumPy in float32, one mistake at a time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from backends.backend import Backend
from backends.testing.oracle import Oracle, to_numpy
from backends.testing.rounding import DOTS, FUNCTIONS, ROUNDED_ONCE, SUMS, words
from backends.testing.watched import Call, Watched, held

ORDERED = words("subtract divide pow remainder copysign atan2 matmul where less less_equal greater")
FOLDED = words("sum mean prod matmul max min all any")
OUTCOMES = ("noticed", "survived", "equivalent")
EXACT_TOO = ("axis off by one", "dropped term", "swapped arguments")  # for other results than float32 as well


def _half(x: Any) -> Any:
    return held(x).astype(np.float16) if getattr(x, "dtype", None) == np.float32 else held(x)


def _tf32(x: Any) -> Any:
    """10 bits of the mantissa."""
    if getattr(x, "dtype", None) != np.float32:
        return held(x)
    return ((held(x).view("u4") + np.uint32(1 << 12)) & np.uint32(0xFFFFE000)).view("f4")


def _shorter(c: Call) -> Any:
    x, *others = (a.held for a in c.arrays())
    if others:
        return x[..., :-1] @ (others[0][:-1] if others[0].ndim == 1 else others[0][..., :-1, :])
    axis = c.kwargs.get("axis")
    return c.function(x.reshape(-1)[:-1] if axis is None else np.delete(x, -1, axis), **c.kwargs)


def _with(c: Call, **kwargs: Any) -> Any:
    return replace(c, kwargs={**c.kwargs, **kwargs}).held()


# Which calls a mistake fits, and their wrong result.
MISTAKES: dict[str, tuple[Callable[[Call], Any], Callable[[Call], Any]]] = {
    "float16 accumulation": (lambda c: c.name in SUMS | DOTS, lambda c: np.float32(c.held(_half))),
    "float16 result": (lambda c: c.name in ROUNDED_ONCE | FUNCTIONS or "special." in c.name,
                       lambda c: np.float32(_half(c.held()))),
    "TF32 factors": (lambda c: c.name in DOTS, lambda c: c.held(_tf32)),
    "float64 result": (lambda c: True, lambda c: np.float64(c.held())),
    "ddof": (lambda c: c.name in ("var", "std"),
             lambda c: _with(c, correction=c.kwargs.get("correction", 0) + 1)),
    "axis off by one": (lambda c: type(c.kwargs.get("axis")) is int and c.arrays() and c.arrays()[0].ndim > 1,
                        lambda c: _with(c, axis=(c.kwargs["axis"] + 1) % c.arrays()[0].ndim)),
    "dropped term": (lambda c: c.name in FOLDED, _shorter),
    "swapped arguments": (lambda c: c.name in ORDERED,
                          lambda c: replace(c, args=(*c.args[:-2], c.args[-1], c.args[-2])).held()),
}  # fmt: skip


class Planted:
    """A hook for a narrow namespace: one operation makes one mistake; ``fitting``: all that could be."""

    def __init__(self, operation: str = "", mistake: str = ""):
        self.wrong = (operation, mistake)
        self.fitting = set[tuple[str, str]]()
        self.first = dict[Any, Any]()

    def __call__(self, call: Call) -> Any:
        result = call.held()
        if not isinstance(call.dtypes, np.dtype):
            return result
        here = [m for m in MISTAKES if call.dtypes == np.float32 or m in EXACT_TOO if MISTAKES[m][0](call)]
        key = (call.name, np.shape(result), call.dtypes)
        here += ["stale buffer"] if key in self.first else []
        self.fitting |= {(call.name, mistake) for mistake in here}
        old = self.first.setdefault(key, result)
        if call.name == self.wrong[0] and self.wrong[1] in here:
            result = old if self.wrong[1] == "stale buffer" else MISTAKES[self.wrong[1]][1](call)
            call.dtypes = np.asarray(result).dtype
        return result

    def backend(self) -> Backend:
        space = Watched(wide=False)
        space.hook = self
        return Backend("numpy with {1} in {0}".format(*self.wrong), space, "cpu", "float32", fused=False)


def mutants(oracle: Oracle) -> dict[tuple[str, str], str]:
    """(operation, mistake) -> one of OUTCOMES; equivalent: no output changes, or they get more exact (float64
    where no output's dtype shows it)."""

    def values(planted: Planted) -> list[bytes]:
        backend = planted.backend()
        return [to_numpy(backend, x).tobytes() for x in oracle.run(backend.xp, backend.from_host).values()]

    def outcome(*wrong: str) -> str:
        if not all(verdict.agrees for verdict in oracle.judge(Planted(*wrong).backend())):
            return "noticed"
        same = wrong[1] == "float64 result" or values(Planted(*wrong)) == right
        return "equivalent" if same else "survived"

    healthy = Planted()
    right = values(healthy)
    return {wrong: outcome(*wrong) for wrong in sorted(healthy.fitting)}
