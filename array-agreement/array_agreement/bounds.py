"""Error bounds from perturbed runs, and verdicts on backends from error bounds."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from array_agreement.rounding import MIN_NORMAL, U

FALSE_ALARM_PROBABILITY = 1e-6
"""Probability that an output is reported as wrong although its rounding errors follow the model."""


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
        ratio: largest error / bound of an element; the backend agrees if it is at most 1
        note: an explanation, or ""
        unjudged: number of elements without a bound, since rounding decides an index, a branch, or whether
            a number is finite
    """

    backend: str
    output: str
    ratio: float
    note: str = ""
    unjudged: int = 0

    @property
    def agrees(self) -> bool:
        return self.ratio <= 1

    def __str__(self) -> str:
        note = f", {self.note}" if self.note else ""
        return f"{self.backend}, {self.output}: error / bound = {self.ratio:.3g}{note}"


class Bound:
    """Largest allowed distance of each element of an output from the oracle.

    The bound of a finite floating-point element is Student's quantile times the root mean square distance of
    the runs from the oracle, and at least u abs(exact). The smallest normal number is added to it. All other
    elements have the bound 0: integers, booleans, NaN and infinities must be equal.

    If rounding decides an element, its bound is NaN and it is not judged. Then a run differs from the oracle
    in shape, in an integer or boolean, or in whether the element is finite.

    Args:
        name: name of the output
        exact: the oracle's result, in float64
        runs: results of the perturbed runs
        dtype: expected dtype; None for a Python number
    """

    def __init__(self, name: str, exact: Any, runs: list[Any], dtype: Any):
        self.name = name
        self.exact = np.asarray(exact)
        self.dtype = dtype
        if any(np.shape(run) != self.exact.shape for run in runs):
            self.bound = np.full(self.exact.shape, np.nan)
        elif self.exact.dtype.kind not in "fc":
            self.bound = np.where(np.all([run == self.exact for run in runs], axis=0), 0.0, np.nan)
        else:
            finite = np.isfinite(self.exact)
            same = [_equal_or_nan(run, self.exact) for run in runs]
            spread = np.sqrt(np.mean(np.abs(np.asarray(runs) - self.exact) ** 2, axis=0))
            t = t_quantile(len(runs), FALSE_ALARM_PROBABILITY / max(self.exact.size, 1))
            bound = np.where(finite, np.maximum(t * spread, U * np.abs(self.exact)) + MIN_NORMAL, 0.0)
            self.bound = np.where(np.all(np.where(finite, np.isfinite(runs), same), axis=0), bound, np.nan)

    def judge(self, backend: str, value: Any) -> Verdict:
        """Compare a backend's output with the oracle. Integer dtypes of all widths are accepted."""
        names = [np.dtype(d).name for d in (value.dtype, self.dtype or value.dtype)]
        got, expected = (name.rstrip("0123456789") if "int" in name else name for name in names)
        if (value.shape, got) != (self.exact.shape, expected):
            note = f"{got} of shape {value.shape}, expected {expected} of shape {self.exact.shape}"
            return Verdict(backend, self.name, np.inf, note)
        error = np.abs(np.subtract(value, self.exact, dtype=np.result_type(self.exact, np.float64)))
        ratio = np.where(np.isfinite(error), error / self.bound, np.inf)
        ratio = np.where(np.isnan(self.bound) | _equal_or_nan(value, self.exact), 0.0, ratio)
        unjudged = int(np.isnan(self.bound).sum())
        return Verdict(backend, self.name, float(np.max(ratio, initial=0)), unjudged=unjudged)


def _equal_or_nan(a: Any, b: Any) -> Any:
    return (a == b) | ((a != a) & (b != b))
