"""Ratios of lower quartiles of times, ours to theirs, with bootstrap confidence intervals.

Other load on a machine only adds time, so lower quartiles are compared; medians of disturbed runs depend on
luck. The bootstrap resamples the rotations with replacement; the interval holds 95 % of the results.
"""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import NamedTuple

N_RESAMPLES = 1000


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}  ({self.low:.3f} to {self.high:.3f})"


def lower_quartile(values: Sequence[float]) -> float:
    """
    >>> lower_quartile([1.0, 2.0, 3.0, 4.0, 5.0])
    2.0
    """
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def _bootstrap(statistic: Callable[[Sequence[int]], float], rotations: int) -> Estimate:
    draw = random.Random(0)
    draws = sorted(statistic(draw.choices(range(rotations), k=rotations)) for _ in range(N_RESAMPLES))
    return Estimate(statistic(range(rotations)), draws[N_RESAMPLES // 40], draws[-N_RESAMPLES // 40])


def quartile(values: Sequence[float]) -> Estimate:
    """Return the lower quartile with its interval."""
    return _bootstrap(lambda rows: lower_quartile([values[i] for i in rows]), len(values))


def quartile_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Estimate:
    """Return the ratio of two lower quartiles with its interval.

    Element i of both was measured in rotation i.
    """
    pairs = list(zip(ours, theirs, strict=True))

    def statistic(rows: Sequence[int]) -> float:
        a, b = zip(*(pairs[i] for i in rows), strict=True)
        return lower_quartile(a) / lower_quartile(b)

    return _bootstrap(statistic, len(pairs))
