"""The bounds of L0 to L2 beside those that ``backends.testing`` derives for anybody's function.

The reference kernels run in float64 over a namespace whose every call is disturbed by what float32 may
round. Each disturbed run is a contender as any other, so every comparison of these levels says how far it is
from the oracle. That error is a norm or a maximum over a tensor, which scatters little; the derived bound is
its mean plus Student's quantile times its standard deviation, and at least one rounding.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Backend
from backends.testing.bounds import FALSE_ALARM, student
from backends.testing.rounding import Rounding
from backends.testing.watched import Watched, held
from dnn.agreement.bounds import U
from dnn.agreement.ours import BackendContender
from dnn.agreement.records import Record

LEVELS = ("L0", "L1", "L2")
UNJUDGED = ("Dense extremes",)
"""There z is x to the last bit, as W is 1, which a model of products cannot know. L0 has the functions."""
FACTOR = 10.0
"""How far the two bounds may be apart."""


class DisturbedBackend(Backend):
    """The reference over a watched namespace; the host gets all digits."""

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(held(array))


def disturbed_run(seed: int, number: int) -> BackendContender:
    """One disturbed run, with random numbers of its own."""

    def open_backend(dtype: str) -> Backend:
        space = Watched(wide=True)
        space.hook = Rounding(np.random.default_rng([seed, number]))
        return DisturbedBackend("disturbed", space, "cpu", dtype, fused=False)

    return BackendContender(f"disturbed {number}", open_backend)


@dataclass(frozen=True)
class Pair:
    """The two bounds of one comparison; both 0: it is exact."""

    level: str
    case: str
    tensor: str
    analytic: float
    derived: float

    @property
    def ratio(self) -> float:
        """Analytic / derived: 1 where both are 0, infinite where only the derived one is."""
        if self.derived == 0.0:
            return 1.0 if self.analytic == 0.0 else np.inf
        return self.analytic / self.derived

    @property
    def near(self) -> bool:
        return 1.0 / FACTOR <= self.ratio <= FACTOR


def pairs(records: Sequence[Record]) -> list[Pair]:
    """From the records of several disturbed runs."""
    largest: dict[tuple[str, str, str], Pair] = {}
    groups: dict[tuple[str, str, str, str], list[Record]] = {}
    for r in records:
        if r.case not in UNJUDGED:
            groups.setdefault((r.level, r.case, r.tensor, r.note), []).append(r)
    for (level, case, tensor, _), group in groups.items():
        errors = np.asarray([r.measured for r in group])
        analytic = max(r.bound for r in group)
        least = 0.0 if not errors.any() else U if analytic < 0.1 else 0.5  # else it is measured in ULP
        spread = student(len(errors), FALSE_ALARM) * float(np.std(errors, ddof=1))
        pair = Pair(level, case, tensor, analytic, max(least, float(np.mean(errors)) + spread))
        # One bound for examples that are large, small, or exact: the largest is its like.
        key = level, case, re.sub("[0-9]+", "", tensor) if case.endswith("extremes") else tensor
        if key not in largest or pair.derived > largest[key].derived:
            largest[key] = pair
    return list(largest.values())
