"""From disturbed runs to a bound, and from a bound to a verdict."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from backends.testing.rounding import MIN_NORMAL, U

FALSE_ALARM_PROBABILITY = 1e-6
"""Probability that an output breaks its bound in any element, although it rounds as in the model."""


def t_quantile(n: int, probability: float) -> float:
    """How many standard deviations, estimated from n numbers, are exceeded by this chance, on either side.

    Wallace 1959, Bounds on normal approximations to Student's and the chi-square distributions.
    """
    z = NormalDist().inv_cdf(1 - probability / 2)
    return float(np.sqrt(n * np.expm1((z * (8 * n + 3) / (8 * n + 1)) ** 2 / n)))


@dataclass
class Verdict:
    """One output of one backend, which agrees if ``ratio``, the largest error / bound, is at most 1."""

    backend: str
    output: str
    ratio: float
    note: str = ""
    unjudged: int = 0  # elements of which rounding decides an index, a branch, or whether they are finite

    @property
    def agrees(self) -> bool:
        return self.ratio <= 1

    def __str__(self) -> str:
        note = f", {self.note}" if self.note else ""
        return f"{self.backend}, {self.output}: error / bound = {self.ratio:.3g}{note}"


class Bound:
    """How far an output may be from the oracle: 0 for what is exact, NaN where nothing can be said, else
    Student's quantile times the root mean square distance of the runs, and at least u."""

    def __init__(self, name: str, exact: Any, runs: list[Any], dtype: Any):
        self.name = name
        self.exact = np.asarray(exact)
        self.dtype = dtype  # None: a Python number
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
