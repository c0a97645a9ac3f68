"""Lower quartiles of times and their ratios, with bootstrap confidence intervals.

Other load on a machine only adds time, so lower quartiles are compared; medians of disturbed runs depend on
luck. The bootstrap resamples the rotations with replacement; the interval holds 95 % of the results.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

N_RESAMPLES = 1000


class Estimate(NamedTuple):
    """A number and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}  ({self.low:.3f} to {self.high:.3f})"


def lower_quartile(ours: Sequence[float], theirs: Sequence[float] | None = None) -> Estimate:
    """Return the lower quartile of ``ours``, or its ratio to that of ``theirs``, with its interval.

    Element i of both was measured in rotation i.
    """
    n = len(ours)
    rotations = np.random.default_rng(0).integers(n, size=(N_RESAMPLES, n))
    rotations = np.vstack([np.arange(n), rotations])  # the first row is the measurement itself
    values = np.quantile(np.asarray(ours)[rotations], 0.25, axis=1)
    if theirs is not None:
        values /= np.quantile(np.asarray(theirs)[rotations], 0.25, axis=1)
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return Estimate(float(values[0]), float(low), float(high))
