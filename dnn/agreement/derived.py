"""The bounds of L0 to L2 beside those that ``backends.testing`` derives for anybody's function.

The reference kernels run in float64 over a namespace whose every call is disturbed by what float32 may
round. Each disturbed run is a contender as any other, so every comparison of these levels says how far it is
from the oracle. That error is a norm or a maximum over a tensor, which scatters little; the derived bound is
its mean plus Student's quantile times its standard deviation, and at least one rounding.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backends import Backend
from backends.testing.bounds import FALSE_ALARM, student
from backends.testing.rounding import TINY, Rounding
from backends.testing.watched import Array, Call, Watched, held
from dnn.agreement.bounds import U
from dnn.agreement.cases import Data
from dnn.agreement.levels import check
from dnn.agreement.ours import BackendContender
from dnn.agreement.records import Record
from dnn.agreement.report import row_name
from dnn.agreement.sizes import QUICK, Sizes
from dnn.validation.settings import look_up

LEVELS = ("L0", "L1", "L2")
UNJUDGED = ("Dense extremes",)
"""There z is x to the last bit, as W is 1, which a model of products cannot know. L0 has the functions."""
FACTOR = 10.0
"""How far the two bounds may be apart."""


class RandomWalk(Rounding):
    """The terms of a sum come here in random order. Its partial sums do not grow to sum|x|, which they may in
    anybody's function, but walk at random, with a drift to the result r: u sqrt(k / 3 (r^2 + 1.5 sum x^2)).
    """

    def sum_size(self, call: Call, r: Any) -> Any:
        most = super().sum_size(call, r)
        if call.name in ("var", "std"):
            return most

        def of(power: int) -> Any:  # sum |x|^power
            return call.held(lambda a: np.abs(a.held) ** power if isinstance(a, Array) else a)

        k = call.arrays()[0].size / np.size(r) if call.name == "mean" else 1.0
        walk = np.sqrt(r * r + 1.5 * of(2) / k)
        return most * np.minimum(1.0, walk / np.maximum(of(1), TINY))


class DisturbedBackend(Backend):
    """The reference over a watched namespace; the host gets all digits."""

    def to_host(self, array: Any) -> np.ndarray:
        return np.asarray(held(array))


def disturbed_run(seed: int, number: int) -> BackendContender:
    """One disturbed run, with random numbers of its own."""

    def open_backend(dtype: str) -> Backend:
        space = Watched(wide=True)
        space.hook = RandomWalk(np.random.default_rng([seed, number]))
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
        """Analytic / derived; 1 where both are 0."""
        return self.analytic / self.derived if self.derived else 1.0

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
        least = U if analytic < 0.1 else 0.5  # which is measured in ULP
        if not analytic and not errors.any():
            least = 0.0
        spread = student(len(errors), FALSE_ALARM) * float(np.std(errors, ddof=1))
        pair = Pair(level, case, tensor, analytic, max(least, float(np.mean(errors)) + spread))
        # One bound for examples that are large, small, or exact: the largest is its like.
        key = level, case, re.sub("[0-9]+", "", tensor) if case.endswith("extremes") else tensor
        if key not in largest or pair.derived > largest[key].derived:
            largest[key] = pair
    return list(largest.values())


def compare(
    data: Data, levels: Sequence[str] = LEVELS, sizes: Sizes = QUICK, seed: int = 0, runs: int = 16
) -> list[Pair]:
    """Both bounds of every comparison of some of LEVELS, from so many disturbed runs."""
    for name in levels:
        look_up("level", name, dict.fromkeys(LEVELS))
    disturbed = [disturbed_run(seed, number) for number in range(runs)]
    return pairs(check(disturbed, data, levels=levels, sizes=replace(sizes, batches=1), seed=seed))


def table(found: Sequence[Pair]) -> str:
    """A line for each level and kind of tensor, and one that says whether all are near."""
    groups: dict[str, list[Pair]] = {}
    for pair in found:
        groups.setdefault(row_name(pair), []).append(pair)
    width = max(map(len, groups))
    lines = [f"{'comparison':{width}}  number  analytic / derived bound"]
    for name, group in groups.items():
        ratios = [pair.ratio for pair in group]
        exact = all(pair.derived == 0.0 for pair in group)
        said = "exact" if exact else f"{min(ratios):.2g} to {max(ratios):.2g}"
        lines.append(f"{name:{width}}  {len(group):6}  {said}")
    far = [pair for pair in found if not pair.near]
    worst = [f"{p.level} {p.case}: {p.tensor} {p.ratio:.3g}" for p in far[:5]]
    said = f"; {len(far)} are not: {'; '.join(worst)}" if far else ""
    return "\n".join(
        [*lines, f"{len(found) - len(far)} of {len(found)} pairs are within a factor of {FACTOR:g}{said}"]
    )
