"""Error bounds from perturbed runs, and verdicts on backends from error bounds."""

from dataclasses import InitVar, dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from array_agreement.calls import map_parts
from array_agreement.rounding import FLOAT32, Limits, limits

FALSE_ALARM_PROBABILITY = 1e-6
"""Probability that an output is reported as wrong although its rounding errors follow the model."""
MAX_LOSS = 10**-0.5
"""Largest bound that judges an element, relative to the largest element: half a digit is kept.

If all elements are zero up to rounding, it is the root of u, relative to the largest argument.
"""


def t_quantile(n: int, probability: float) -> float:
    """Return the two-sided quantile of Student's t distribution, in Wallace's approximation.

    Args:
        n: degrees of freedom
        probability: that the absolute value exceeds the quantile

    Source: Wallace 1959, Bounds on normal approximations to Student's and the chi-square distributions.
    """
    z = NormalDist().inv_cdf(1 - probability / 2)
    return float(np.sqrt(n * np.expm1((z * (8 * n + 3) / (8 * n + 1)) ** 2 / n)))


@dataclass
class Verdict:
    """The comparison of one output of one backend with its bound.

    Args:
        backend: name of the backend
        output: name of the output
        ratio: largest error / bound of an element; infinite for a wrong dtype, shape or exception
        note: an explanation, or ""
        unjudged: number of elements without a bound, since rounding decides an index, a branch, or whether
            a number is finite
        size: number of elements
        max_unjudged: largest share of elements without a bound that is allowed
        vacuous: no call of the backend's namespace produced the output
        two_answers: the backend's own float64 answer differs from the oracle's, and no rule decides
        element: index, value, expected value and allowed error of the worst element
        digits: number of digits that the function keeps in the median element, and that of the dtype
        dtype: name of the expected dtype
        rtol, atol: smallest tolerances that admit what the bound admits
        xfail: reason why a disagreement is expected, or ""
    """

    backend: str
    output: str
    ratio: float
    note: str = ""
    unjudged: int = 0
    size: int = 1
    max_unjudged: float = 1.0
    vacuous: bool = False
    two_answers: bool = False
    element: str = ""
    digits: tuple[float, float] = (0.0, 0.0)
    dtype: str = ""
    rtol: float = 0.0
    atol: float = 0.0
    xfail: str = ""

    def add(self, *notes: str) -> None:
        """Add lines to the note."""
        self.note = "\n    ".join(filter(None, [self.note, *notes]))

    @property
    def agrees(self) -> bool:
        return self.kind == "agrees"

    @property
    def kind(self) -> str:
        """One of "agrees", "disagrees", "two answers", "vacuous", "not judged" and "xfail"."""
        if not self.ratio <= 1:
            kind = "two answers" if self.two_answers else "disagrees"
        elif self.unjudged > self.max_unjudged * self.size:
            kind = "not judged"
        else:
            kind = "vacuous" if self.vacuous else "agrees"
        return "xfail" if self.xfail and kind != "agrees" else kind

    def __str__(self) -> str:
        judged = 1 - self.unjudged / (self.size or 1)
        kind = "" if self.agrees else f"{self.kind}, "
        text = f"{self.backend}, {self.output}: {kind}error / bound = {self.ratio:.3g}, {judged:.0%} judged"
        kept, available = self.digits
        if kept < available / 2:
            text += f", keeps about {kept:.0f} of {available:.0f} digits"
        if self.vacuous:
            text += f", nothing was computed by {self.backend}"
        reason = self.xfail and f"xfail{', but it agrees' * self.agrees}: {self.xfail}"
        return "\n    ".join(filter(None, [text, reason, self.element, self.note]))


@dataclass
class Bound:
    """Largest allowed distance of each element of an output from the oracle.

    The bound of a floating-point element is Student's quantile times the root mean square distance of the
    runs from the oracle, and at least u abs(exact). The smallest normal number is added to it. Integers,
    booleans, NaN and infinite parts must be equal.

    If rounding decides an element, its bound is NaN and it is not judged. Then a run differs from the oracle
    in shape, in an integer or boolean, or in whether the element is finite; or the bound exceeds MAX_LOSS
    times the largest element, so that it contains any answer. A floating-point element that is close to the
    oracle's nevertheless counts as judged.

    Args:
        name: name of the output
        exact: the oracle's result, in a wider dtype than the output's
        runs: results of the perturbed runs
        dtype: expected dtype; None for a Python number
        limit: limits of the dtype that a Python number was computed in
        vacuous: no call of the namespace produced the output
        note: why no element can be judged, or ""
        unit: size of the largest argument
        unspecified: what may decide elements besides rounding, or ""
        unordered: the last axis has eigenvalues, which are compared as a set
    """

    name: str
    exact: Any
    runs: InitVar[list[Any]]
    dtype: Any
    limit: Limits = FLOAT32
    vacuous: bool = False
    note: str = ""
    unit: float = 1.0
    unspecified: InitVar[str] = ""
    unordered: bool = False

    def __post_init__(self, runs: list[Any], unspecified: str) -> None:
        self.exact = exact = np.asarray(self.exact)
        if self.dtype is not None:
            self.limit = limits(self.dtype)
        u = self.limit.u
        self.size = size = np.abs(map_parts(lambda x: np.where(np.isfinite(x), x, 0), exact))
        self.close = -1.0
        """Largest error of an element that agrees although rounding may decide it."""
        self.kept = -np.log10(u)
        """Number of digits that the median element keeps."""
        self.bound = np.full(exact.shape, np.nan)
        if self.note or any(np.shape(run) != exact.shape for run in runs):
            pass
        elif exact.dtype.kind not in "fc":
            self.bound = np.where(np.all([run == exact for run in runs], axis=0), 0.0, np.nan)
        else:
            gaps = distance(np.asarray([self.ordered(run) for run in runs]), exact)
            judged = np.all(np.isfinite(gaps), axis=0)
            t = t_quantile(len(runs), FALSE_ALARM_PROBABILITY / max(exact.size, 1))
            spread = t * np.sqrt(np.mean(gaps**2, axis=0))
            bound = np.maximum(spread, u * size) + self.limit.min_normal
            if exact.dtype.kind == "f":  # the other part of a complex infinity has a bound
                bound = np.where(np.isfinite(exact), bound, 0.0)
            if np.any(loss := (bound / size)[judged & (size > 0)]):
                self.kept = np.clip(-np.log10(np.median(loss) + u), 0, self.kept)
            largest = MAX_LOSS * np.max(size, initial=0.0)
            self.close = largest / 10
            if largest <= u * self.unit:
                largest = np.sqrt(u) * self.unit
            if np.any(lost := judged & (spread > largest)):
                self.note = "rounding decides all digits: the bound is as large as the result"
            self.bound = np.where(judged & ~lost, bound, np.nan)
        if np.any(np.isnan(self.bound)):
            self.note = self.note or "rounding decides a branch, an index, an integer, or what is finite"
            self.note += unspecified

    def ordered(self, values: Any) -> Any:
        """Return values in the order of the oracle's: each takes the closest one of a set of eigenvalues."""
        if not self.unordered:
            return values
        matched = values.copy()
        for row in np.ndindex(self.exact.shape[:-1]):
            rest = list(values[row])
            for j, x in enumerate(self.exact[row]):
                matched[(*row, j)] = rest.pop(int(np.argmin(np.abs(np.asarray(rest) - x))))
        return matched

    def tolerances(self) -> tuple[float, float]:
        """Return the smallest (rtol, atol) with rtol abs(exact) + atol >= bound, rounded up to two digits.

        rtol is the largest bound / abs(exact) of the larger half of the elements; atol serves the others.
        """
        judged = self.bound > 0
        size, bound = self.size[judged], self.bound[judged]
        large = (size > 0) & (size >= np.median(size if size.size else 0))
        rtol = _round_up(np.max(bound[large] / size[large], initial=0))
        return rtol, _round_up(np.max(bound - rtol * size, initial=0))

    def judge(self, backend: str, value: Any, wide: bool = False) -> Verdict:
        """Compare a backend's output with the oracle.

        Args:
            backend: name of the backend
            value: its output in NumPy
            wide: accept any dtype and errors of up to 100 roundings
        """
        got, expected = value.dtype.name, np.dtype(self.dtype or value.dtype).name
        if value.shape != self.exact.shape or (got != expected and not wide):
            note = f"{got} of shape {value.shape}, expected {expected} of shape {self.exact.shape}"
            return Verdict(backend, self.name, np.inf, note)
        value = self.ordered(value)
        error, bound, ratio = self.compare(value, wide)
        unjudged = int(np.sum(np.isnan(self.bound) & ~(error <= self.close)))
        worst = float(np.max(ratio, initial=0))
        verdict = Verdict(backend, self.name, worst, self.note, unjudged, self.exact.size)
        verdict.digits = float(self.kept), float(-np.log10(self.limit.u))
        verdict.dtype = expected if self.dtype else "float32" if self.limit is FLOAT32 else "float64"
        verdict.rtol, verdict.atol = self.tolerances()
        if verdict.ratio > 1:
            i = np.unravel_index(np.argmax(ratio), ratio.shape)
            at = f"at [{', '.join(map(str, i))}]: " if i else ""
            pair = f"got {value[i]}, expected {self.exact[i]}"
            verdict.element = f"{at}{pair}, allowed error {bound[i]:.3g}, error / allowed {ratio[i]:.3g}"
        return verdict

    def compare(self, value: Any, wide: bool = False) -> tuple[Any, Any, Any]:
        """Return error, bound and error / bound of each element, which is 0 if it is not judged."""
        error = distance(value, self.exact)
        bound = self.bound
        if wide and self.exact.dtype.kind in "fc":
            bound = np.maximum(bound, 100 * self.limit.u * self.size)
        ratio = np.where(np.isfinite(error), error / bound, np.inf)
        return error, bound, np.where(np.isnan(self.bound) | equal_or_nan(value, self.exact), 0.0, ratio)


def _round_up(x: Any) -> float:
    """Round up to two digits a number that is not negative: half a unit of the second one is at most 5%."""
    return float(f"{1.05 * x:.2g}")


def is_close(x: Any, exact: Any, allowed: Any = 0.0) -> bool:
    """Return whether ``x`` has the shape of ``exact``, and no element differs by more than ``allowed``."""
    if np.shape(x) != np.shape(exact):
        return False
    return bool(np.all((distance(x, exact) <= allowed) | equal_or_nan(x, exact)))


def distance(x: Any, y: Any) -> Any:
    """Return abs(x - y) without the parts that are equal infinities; 0 if both have a NaN."""
    dtype = np.result_type(x, y, np.float64)
    x, y = np.broadcast_arrays(np.asarray(x, dtype), np.asarray(y, dtype))
    parts = map_parts(lambda a, b: np.where(a == b, 0, a - b), x, y)
    return np.where((x != x) & (y != y), 0, np.abs(parts))


def equal_or_nan(a: Any, b: Any) -> Any:
    return (a == b) | ((a != a) & (b != b))
