"""Alarms: where a library's result of one call breaks its bound, shrunk and adjudicated."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from array_api_compat import is_jax_namespace

from array_agreement.adjudicate import correct, error_in_ulps
from array_agreement.bounds import Bound, match
from array_agreement.families import CLASSES, classify
from array_agreement.functions import Expression, compile_function
from array_agreement.oracle import Oracle
from array_agreement.rounding import EXACT_CALLS
from array_agreement.targets import Target, describe_exception, to_numpy

Arrays = Mapping[str, np.ndarray]
LAYOUTS = {
    "plain": "put({0})",
    "strided": "put(np.repeat({0}, 2, axis=-1))[..., ::2]",
    "reversed": "put(np.flip({0}, -1).copy())[..., ::-1]",
    "transposed": "put({0}.T.copy()).T",
    "tiled": "put(np.tile({0}, 1049))",
}
"""How a library gets an argument. The last one makes 2^20 elements of a thousand."""
MAX_ULPS = 4.0
"""Errors that count as rounding where the bound is smaller."""
MAX_CANDIDATES = 12
"""Elements of one class that are tried one by one."""
MAX_SHRINKS = 60
MIN_SHARE = 0.3
"""Share of an alarm's error / bound that a smaller input must keep."""


@dataclass
class Alarm:
    """A result that breaks its bound in one class of elements.

    Args:
        kind: "wrong", "type" for another dtype or shape, "raises" or "missing"
        layout: a key of LAYOUTS
        value: the library's result, or the message of its exception
        bound: the oracle's result and bound
        ratio: error / bound of each wrong element
        indices: of the wrong elements
    """

    kind: str
    layout: str
    value: Any
    bound: Bound
    ratio: Any = np.inf
    indices: Any = ()


@dataclass
class Finding:
    """What a library computes wrongly. ``ulps`` is the largest error, if a correct result is known."""

    kind: str
    arrays: Arrays
    layout: str
    value: Any
    correct: Any
    ulps: float | None = None
    is_array: bool = True


class Case:
    """A call with a dtype on one library."""

    def __init__(self, expression: Expression, dtype: str, target: Target):
        self.expression = expression
        self.dtype = dtype
        self.target = target
        self.is_elementwise = expression.group == "elementwise"

    def layouts(self, arrays: Arrays) -> list[str]:
        """Return the layouts that such arrays can have."""
        ranks = {x.ndim for x in arrays.values()}
        tiled = (
            ["tiled"] if self.is_elementwise and ranks == {1} and all(x.size for x in arrays.values()) else []
        )
        transposed = ["transposed"] if 2 in ranks else []
        if is_jax_namespace(self.target.xp) or 0 in ranks:  # JAX has no strides
            return ["plain", *tiled]
        return ["plain", "strided", "reversed", *transposed, *tiled]

    def alarms(
        self, arrays: Arrays, layouts: list[str]
    ) -> tuple[dict[str, Alarm], dict[str, tuple[int, int]]]:
        """Return class -> its first alarm, and class -> (number of elements, number of those not judged)."""
        oracle = Oracle(self.expression.f, list(arrays.values()))
        oracle.is_jax = bool(is_jax_namespace(self.target.xp))
        found = dict[str, Alarm]()
        counts = dict[str, tuple[int, int]]()
        try:
            bounds = oracle.bounds(oracle.default_for(self.target))
        except Exception:  # each library has its own exceptions; NumPy defines no result
            return found, counts
        bounds = {name: bound for name, bound in bounds.items() if not name.startswith("argument ")}
        first = next(iter(bounds.values()))
        classes = [classify(self.dtype, x.ravel()) for x in arrays.values()]
        whole = min({"ordinary", *np.concatenate([[], *classes])}, key=CLASSES.index)
        for layout in layouts:
            text = LAYOUTS[layout].format("x")
            convert = compile_function(["x"], text, np=np, put=self.target.to_array)
            try:
                list(map(convert, arrays.values()))
            except (ValueError, NotImplementedError, TypeError):  # torch has no negative strides
                continue
            try:
                results = oracle.run(self.target.xp, convert, self.target.compile)
                values = {name: to_numpy(results[name]) for name in bounds}
            except MemoryError:
                raise
            except Exception as error:  # each library has its own exceptions
                kind = "missing" if isinstance(error, NotImplementedError | AttributeError) else "raises"
                found.setdefault(whole, Alarm(kind, layout, describe_exception(error), first))
                break
            for name, bound in bounds.items():
                for cls, alarm, count in self._compare(arrays, layout, bound, values[name], whole):
                    counts.setdefault(cls, count)
                    if alarm:
                        found.setdefault(cls, alarm)
        return found, counts

    def _compare(
        self, arrays: Arrays, layout: str, bound: Bound, value: Any, whole: str
    ) -> Iterator[tuple[str, Alarm | None, tuple[int, int]]]:
        """Yield (class, its alarm or None, number of elements and of those not judged)."""
        shape = bound.exact.shape
        is_inexact = bound.exact.dtype.kind in "fc"
        expected = np.dtype(bound.dtype or value.dtype)
        may_differ = not self.is_elementwise and value.dtype.kind in "iu" and expected.kind in "iu"
        rows = (
            value.reshape(-1, *shape)
            if layout == "tiled" and value.size % bound.exact.size == 0
            else value[None]
        )
        if rows.shape[1:] != shape or (value.dtype != expected and not may_differ):
            text = f"{value.dtype} of shape {value.shape}"
            yield whole, Alarm("type", layout, text, bound), (bound.exact.size, 0)
            return
        ratio = np.stack([bound.compare(row)[2] for row in rows])
        classes = np.full(shape, whole)
        if self.is_elementwise:
            classes = np.broadcast_to(classify(self.dtype, *arrays.values(), bound.size), shape)
        if self.is_elementwise and is_inexact:  # a normal number that is flushed to 0 is within the bound
            is_lost = (rows == 0) & (bound.size >= bound.limit.min_normal) & ~np.isnan(bound.bound)
            ratio = np.where(is_lost, np.inf, ratio)
        elif bound.exact.dtype.kind == "c":  # infinities of sums and products depend on the order
            ratio = np.where(np.isfinite(bound.exact), ratio, 0.0)
        worst = np.argmax(ratio, axis=0)[None]
        value = np.take_along_axis(rows, worst, 0)[0]
        ratio = np.take_along_axis(ratio, worst, 0)[0]
        for cls in np.unique(classes):
            mine = classes == cls
            indices = np.argwhere(mine & ~(ratio <= 1))
            alarm = Alarm("wrong", layout, value, bound, ratio, indices) if len(indices) else None
            yield str(cls), alarm, (int(np.sum(mine)), int(np.sum(mine & np.isnan(bound.bound))))

    def explain(self, cls: str, arrays: Arrays, alarm: Alarm) -> Finding | None:
        """Return the finding of an alarm with the smallest input that shows it; None if it is refuted."""
        best = None
        for smaller, again in self._candidates(cls, arrays, alarm):
            finding = self._adjudicate(cls, *self._shrink(cls, smaller, again))
            if finding and finding.kind != "undecided":
                return finding
            best = best or finding
        return best

    def _candidates(self, cls: str, arrays: Arrays, alarm: Alarm) -> Iterator[tuple[Arrays, Alarm]]:
        """Yield the wrong elements of an elementwise call one by one, simple and bad ones first; else all."""
        reproduced = False
        if self.is_elementwise and alarm.kind == "wrong" and alarm.bound.exact.ndim:
            ratios = [alarm.ratio[*i] for i in alarm.indices]

            def simplicity(k: int) -> Any:
                values = [x[*alarm.indices[k]].item() for x in arrays.values()]
                return ratios[k] < MIN_SHARE * max(ratios), len(str(values)), str(values)

            for k in sorted(range(len(ratios)), key=simplicity)[:MAX_CANDIDATES]:
                single = {name: x[*alarm.indices[k]].reshape(1) for name, x in arrays.items()}
                again = self.alarms(single, [*dict.fromkeys(("plain", alarm.layout, "tiled"))])[0].get(cls)
                if again:
                    reproduced = True
                    yield single, again
        if not reproduced:
            yield arrays, alarm

    def _shrink(self, cls: str, arrays: Arrays, alarm: Alarm) -> tuple[Arrays, Alarm]:
        """Return the smallest arrays found that give an alarm of the same kind, class and layout."""
        wanted = MIN_SHARE * np.max(alarm.ratio)
        tries = 0
        shrinks = _smaller(arrays)
        while (smaller := next(shrinks, None)) and tries < MAX_SHRINKS:
            tries += 1
            again = self.alarms(smaller, [alarm.layout])[0].get(cls)
            if again and again.kind == alarm.kind and np.max(again.ratio) >= wanted:
                arrays, alarm = smaller, again
                shrinks = _smaller(arrays)
        return arrays, alarm

    def _adjudicate(self, cls: str, arrays: Arrays, alarm: Alarm) -> Finding | None:
        """Decide an alarm by exact numbers. None: the library is right, and NumPy or the bound is wrong."""
        bound = alarm.bound
        finding = Finding(
            alarm.kind, arrays, alarm.layout, alarm.value, bound.exact, is_array=bound.name == "result"
        )
        if alarm.kind == "type":
            finding.correct = f"{bound.dtype} of shape {bound.exact.shape}"
        if cls == "denormal" and self._agrees_if_flushed(arrays, alarm):
            return None
        if alarm.kind != "wrong":
            return finding
        exacts = [correct(self.expression, arrays)]
        if cls == "denormal":
            exacts.append(correct(self.expression, {name: _flush(x) for name, x in arrays.items()}))
        if exacts[0] is None or exacts[0].shape != bound.exact.shape:
            selects = not self.is_elementwise and self.expression.name in {*EXACT_CALLS, *SELECTING}
            return finding if selects else replace(finding, kind="undecided")
        value = alarm.value
        if bound.unordered:
            value = match(value, exacts[0].astype(complex))
        errors = [
            _largest_error(value, exact, alarm, self.is_elementwise) for exact in exacts if exact is not None
        ]
        if min(errors) <= MAX_ULPS:
            return None
        return replace(finding, value=value, correct=exacts[0], ulps=errors[0])

    def _agrees_if_flushed(self, arrays: Arrays, alarm: Alarm) -> bool:
        """Return whether the value is that for denormal numbers flushed to 0, as the standard allows."""
        oracle = Oracle(self.expression.f, [_flush(x) for x in arrays.values()])
        bound = oracle.bounds(oracle.default_for(self.target))[alarm.bound.name]
        if alarm.kind != "wrong" or alarm.value.shape != bound.exact.shape:
            return bool(alarm.value == f"{bound.dtype} of shape {bound.exact.shape}")
        return bool(np.all(bound.compare(_flush(alarm.value))[2] <= 1))


SELECTING = ("argmax", "argmin", "argsort", "searchsorted", "count_nonzero", "nonzero", "isin", "all", "any")
"""Functions that NumPy computes without rounding, besides EXACT_CALLS."""


def _largest_error(value: Any, exact: Any, alarm: Alarm, is_elementwise: bool) -> float:
    """Return the largest error in ulp of the alarm's elements.

    A complex number or a sum that overflows may be any infinity or NaN.
    """
    any_infinity = value.dtype.kind == "c" or not is_elementwise
    tiny = alarm.bound.limit.min_normal if value.dtype.kind in "fc" else 0.0
    allowed = np.maximum(np.nan_to_num(alarm.bound.bound) - tiny, 0)
    return max(error_in_ulps(value[*i], exact[*i], float(allowed[*i]), any_infinity) for i in alarm.indices)


def _flush(x: np.ndarray) -> np.ndarray:
    """Return an array with zeros for its denormal numbers."""
    if x.dtype.kind == "c":
        return (_flush(x.real) + 1j * _flush(x.imag)).astype(x.dtype)
    return np.where(np.abs(x) < np.finfo(x.dtype).smallest_normal, 0 * x, x) if x.dtype.kind == "f" else x


def _smaller(arrays: Arrays) -> Iterator[dict[str, np.ndarray]]:
    """Yield simpler arrays: halves of each axis, ones and zeros in a half, then fewer digits."""
    for length in sorted({n for x in arrays.values() for n in x.shape if n > 1}, reverse=True):
        for half in (
            slice(0, length // 2),
            slice(length // 2, length),
            slice(1, length),
            slice(0, length - 1),
        ):
            yield {
                name: x[tuple(half if n == length else slice(None) for n in x.shape)] if name != "i" else x
                for name, x in arrays.items()
            }
    for name, x in arrays.items():
        if name == "i":
            continue
        for part in (slice(0, None), slice(0, x.size // 2), slice(x.size // 2, None)):
            for simple in (0, 1) if name not in "PS" else ():  # these stay symmetric
                changed = x.copy()
                changed.flat[part] = simple
                if x.size > 1 and not np.array_equal(changed, x, equal_nan=True):
                    yield {**arrays, name: changed}
        if x.dtype.kind == "f":
            for digits in (1, 2):
                with np.errstate(all="ignore"):
                    changed = np.asarray([float(f"{v:.{digits}g}") for v in x.flat], x.dtype).reshape(x.shape)
                if not np.array_equal(changed, x, equal_nan=True):
                    yield {**arrays, name: changed}
