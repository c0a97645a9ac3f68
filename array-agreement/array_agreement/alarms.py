"""Alarms: where a library's result of one call breaks its bound, shrunk and adjudicated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
from array_api_compat import is_jax_namespace

from array_agreement.adjudicate import correct, errors_in_ulps
from array_agreement.bounds import Bound, distance
from array_agreement.calls import map_parts
from array_agreement.families import CLASSES, classify
from array_agreement.functions import Expression, compile_function
from array_agreement.oracle import Oracle
from array_agreement.rounding import EXACT_CALLS
from array_agreement.targets import Target, describe_exception, to_numpy, words

Arrays = Mapping[str, np.ndarray]
LAYOUTS = {
    "plain": "put({0})",
    "tiled": "put(np.tile({0}, 1049))",
    "strided": "put(np.repeat({0}, 2, axis=-1))[..., ::2]",
    "reversed": "put(np.flip({0}, -1).copy())[..., ::-1]",
    "transposed": "put({0}.T.copy()).T",
}
"""How a library gets an argument. "tiled" makes 2^20 elements of a thousand."""
MAX_ULPS = 4.0
"""Errors that count as rounding where the bound is smaller."""
MAX_CANDIDATES = 12
"""Elements of one class that are tried one by one."""
MAX_SHRINKS = 60
MIN_SHARE = 0.3
"""Share of an alarm's error / bound that a smaller input must keep."""
SELECTING = EXACT_CALLS | {*words("argmax argmin argsort searchsorted count_nonzero nonzero isin all any")}
"""Functions that NumPy computes without rounding."""


@dataclass
class Alarm:
    """A result that breaks its bound in one class of elements.

    Args:
        kind: "wrong", "type" for another dtype or shape, "raises", "missing" or "undecided"
        arrays: the arguments
        layout: a key of LAYOUTS
        value: the library's result, or the message of its exception
        bound: the oracle's result and bound; None if the process died
        ratio: error / bound of each element
        indices: of the wrong elements
        correct: the correct result
        ulps: the largest error, if the correct result is exact
    """

    kind: str
    arrays: Arrays
    layout: str
    value: Any
    bound: Any = None
    ratio: Any = np.inf
    indices: Any = ()
    correct: Any = None
    ulps: float | None = None


@dataclass
class Case:
    """A call with a dtype on one library."""

    expression: Expression
    dtype: str
    target: Target

    def _bounds(self, arrays: Arrays) -> tuple[Oracle, dict[str, Bound]]:
        oracle = Oracle(self.expression.f, [*arrays.values()])
        oracle.is_jax = bool(is_jax_namespace(self.target.xp))
        bounds = oracle.bounds(oracle.default_for(self.target))
        return oracle, {name: bound for name, bound in bounds.items() if not name.startswith("argument ")}

    def alarms(self, arrays: Arrays, layouts: list[str]) -> tuple[dict[str, Alarm], dict[str, bool]]:
        """Return class -> its first alarm, and class -> whether an element of it was judged."""
        alarms = dict[str, Alarm]()
        judged = dict[str, bool]()
        try:
            oracle, bounds = self._bounds(arrays)
        except Exception:  # each library has its own exceptions; NumPy defines no result
            return alarms, judged
        classes = [classify(self.dtype, x.ravel()) for x in arrays.values()]
        rarest = min({"ordinary", *np.concatenate([[], *classes])}, key=CLASSES.index)
        for layout in layouts:
            put = compile_function(["x"], LAYOUTS[layout].format("x"), np=np, put=self.target.to_array)
            try:
                list(map(put, arrays.values()))
            except (ValueError, NotImplementedError, TypeError):  # torch has no negative strides
                continue
            try:
                results = oracle.run(self.target.xp, put, self.target.compile)
                values = {name: to_numpy(results[name]) for name in bounds}
            except MemoryError:
                raise
            except Exception as error:  # each library has its own exceptions
                kind = "missing" if isinstance(error, NotImplementedError | AttributeError) else "raises"
                alarm = Alarm(kind, arrays, layout, describe_exception(error), next(iter(bounds.values())))
                alarms.setdefault(rarest, alarm)
                break
            for name, bound in bounds.items():
                compared = self._compare(Alarm("wrong", arrays, layout, values[name], bound), rarest)
                for cls, is_judged, wrong in compared:
                    judged.setdefault(cls, is_judged)
                    if wrong:
                        alarms.setdefault(cls, wrong)
        return alarms, judged

    def _compare(self, alarm: Alarm, rarest: str) -> Iterator[tuple[str, bool, Alarm | None]]:
        """Yield (class, whether an element of it was judged, the alarm of the class or None)."""
        bound, value = alarm.bound, alarm.value
        shape = bound.exact.shape
        if alarm.layout == "tiled" and value.size and value.size % bound.exact.size == 0:
            rows = value.reshape(-1, *shape)
            worst = np.argmax(distance(rows, bound.exact), axis=0)
            value = np.take_along_axis(rows, worst[None], 0)[0]
        if not self._has_type(bound, value):
            yield rarest, True, replace(alarm, kind="type")
            return
        value = bound.ordered(value)
        ratio = bound.compare(value)[2]
        classes = np.full(shape, rarest)
        if self.expression.is_elementwise:
            classes = np.broadcast_to(classify(self.dtype, *alarm.arrays.values(), bound.size), shape)
        if self.expression.is_elementwise and value.dtype.kind in "fc":
            # A normal number that is flushed to 0 is within the bound.
            is_lost = (value == 0) & (bound.size >= bound.limit.min_normal) & ~np.isnan(bound.bound)
            ratio = np.where(is_lost, np.inf, ratio)
        elif value.dtype.kind == "c":  # infinities of sums and products depend on the order
            ratio = np.where(np.isfinite(bound.exact), ratio, 0.0)
        for cls in np.unique(classes):
            mine = classes == cls
            indices = np.argwhere(mine & ~(ratio <= 1))
            wrong = replace(alarm, value=value, ratio=ratio, indices=indices) if len(indices) else None
            yield str(cls), not np.all(np.isnan(bound.bound[mine])), wrong

    def _has_type(self, bound: Bound, value: Any) -> bool:
        """Return whether a result has the shape and the dtype of the bound; indices may have any integers."""
        expected = np.dtype(bound.dtype or value.dtype)
        is_index = not self.expression.is_elementwise and value.dtype.kind in "iu" and expected.kind in "iu"
        return value.shape == bound.exact.shape and (value.dtype == expected or is_index)

    def explain(self, cls: str, alarm: Alarm) -> Alarm | None:
        """Return the alarm with the smallest input that shows it, and its correct result; None if refuted.

        The elements of an elementwise call are tried one by one, bad and simple ones first.
        """

        def single(i: Any) -> Arrays:
            return {name: x[*i].reshape(1) for name, x in alarm.arrays.items()}

        def simplicity(i: Any) -> Any:
            return alarm.ratio[*i] < MIN_SHARE * np.max(alarm.ratio), len(str(single(i)))

        indices = sorted(alarm.indices, key=simplicity) if self.expression.is_elementwise else []
        layouts = ["plain", alarm.layout, "tiled"]
        singles = filter(None, (self._alarm(cls, single(i), layouts) for i in indices[:MAX_CANDIDATES]))
        best = None
        for candidate in chain([next(singles, alarm)], singles):
            found = self._adjudicate(cls, self._shrink(cls, candidate, MIN_SHARE * np.max(candidate.ratio)))
            if found and found.kind != "undecided":
                return found
            best = best or found
        return best

    def _alarm(self, cls: str, arrays: Arrays, layouts: list[str]) -> Alarm | None:
        return self.alarms(arrays, layouts)[0].get(cls)

    def _shrink(self, cls: str, alarm: Alarm, min_ratio: float) -> Alarm:
        """Return an alarm of the same kind, class and layout with the smallest arrays found."""
        shrinks = _smaller(alarm.arrays)
        for _ in range(MAX_SHRINKS):
            smaller = next(shrinks, None)
            again = smaller and self._alarm(cls, smaller, [alarm.layout])
            if again and again.kind == alarm.kind and np.max(again.ratio) >= min_ratio:
                alarm = again
                shrinks = _smaller(alarm.arrays)
        return alarm

    def _adjudicate(self, cls: str, alarm: Alarm) -> Alarm | None:
        """Decide an alarm by exact numbers. None: the library is right, and NumPy or the bound is wrong."""
        bound, value = alarm.bound, alarm.value
        inputs = [alarm.arrays]
        if cls == "denormal":  # the standard lets a library flush such numbers to 0
            inputs.append({name: _flush(x) for name, x in alarm.arrays.items()})
            flushed = self._bounds(inputs[1])[1][bound.name]
            comparable = isinstance(value, np.ndarray) and self._has_type(flushed, value)
            if comparable and np.all(flushed.compare(_flush(value))[2] <= 1):
                return None
        alarm = replace(alarm, correct=bound.exact)
        if alarm.kind != "wrong":
            return alarm
        exacts = [correct(self.expression, x, value.dtype.kind) for x in inputs]
        exact = exacts[0]
        if exact is None or exact.shape != bound.exact.shape:
            selects = not self.expression.is_elementwise and self.expression.name in SELECTING
            return alarm if selects else replace(alarm, kind="undecided")
        # A complex number or a sum that overflows may be any infinity or NaN.
        any_infinity = value.dtype.kind == "c" or not self.expression.is_elementwise
        allowed = np.maximum(np.nan_to_num(bound.bound) - bound.limit.min_normal, 0)
        ulps = [
            float(np.max(errors_in_ulps(value, bound.ordered(x), allowed, any_infinity)[(*alarm.indices.T,)]))
            for x in exacts
            if x is not None
        ]
        return replace(alarm, correct=exact, ulps=ulps[0]) if min(ulps) > MAX_ULPS else None


def _flush(x: np.ndarray) -> Any:
    """Return an array with zeros for its denormal numbers."""
    if x.dtype.kind not in "fc":
        return x
    tiny = np.finfo(x.dtype).smallest_normal
    return map_parts(lambda part: np.where(np.abs(part) < tiny, 0 * part, part), x)


def _smaller(arrays: Arrays) -> Iterator[dict[str, np.ndarray]]:
    """Yield simpler arrays: parts of each axis, zeros in a half, then fewer digits."""
    for n in sorted({n for x in arrays.values() for n in x.shape if n > 1}, reverse=True):
        for part in (slice(n // 2), slice(n // 2, n), slice(1, n), slice(n - 1)):
            yield {
                name: x[tuple(part if k == n else slice(None) for k in x.shape)] for name, x in arrays.items()
            }
    for name, x in arrays.items():
        simpler = []
        for half in (slice(x.size // 2), slice(x.size // 2, None)) if name not in "PS" else ():
            simpler.append(x.copy())  # P and S stay symmetric
            simpler[-1].flat[half] = 0
        for digits in (1, 2) if x.dtype.kind in "fc" else ():
            rounded = [x.dtype.type(f"{v:.{digits}g}") for v in x.flat]
            simpler.append(np.asarray(rounded, x.dtype).reshape(x.shape))
        yield from ({**arrays, name: y} for y in simpler if not np.array_equal(x, y, equal_nan=True))
