"""Record: one number that was measured, and the bound that it must not exceed."""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Record:
    """One comparison with the oracle."""

    level: str  # "L0" to "L5"
    case: str  # which network, kernel or layer
    tensor: str  # what was compared: "z dense_1", "dense_2.W", ...
    backend: str  # the contender's id
    measured: float  # the error; infinity where library, dtype, device or shape already differ
    bound: float  # what it must not exceed
    note: str = ""  # what a person should know beside the number

    @property
    def holds(self) -> bool:
        """measured <= bound; a NaN never holds."""
        return self.measured <= self.bound

    @property
    def verdict(self) -> str:
        return "holds" if self.holds else "broken"

    @property
    def ratio(self) -> float:
        """measured / bound: 1 and above is too much; infinity for a NaN, so that it is the worst."""
        if self.measured != self.measured:
            return float("inf")
        if self.bound == 0.0:
            return 0.0 if self.measured == 0.0 else float("inf")
        return self.measured / self.bound

    def as_dict(self) -> dict[str, Any]:
        """JSON values; infinity and NaN, which JSON lacks, become text."""
        values = {**asdict(self), "verdict": self.verdict}
        for name in ("measured", "bound"):
            number = values[name]
            if not (number == number and abs(number) != float("inf")):
                values[name] = str(number)
        return values


Error = Callable[[str, Any, Any], float]
Bound = float | Callable[[str, float], float]


def count_different(tensor: str, got: Any, expected: Any) -> float:
    """How many numbers are not equal; NaN meets NaN."""
    return float(np.count_nonzero((got != expected) & ~(np.isnan(got) & np.isnan(expected))))


def worst_record(records: Iterable[Record]) -> Record:
    """The record with the largest measured / bound."""
    return max(records, key=lambda record: record.ratio)


def worst_records(records: Iterable[Record]) -> list[Record]:
    """For each (level, case, tensor, backend) the worst of its records, in order of appearance."""
    groups: dict[tuple[str, ...], Record] = {}
    for record in records:
        key = (record.level, record.case, record.tensor, record.backend)
        have = groups.get(key)
        if have is None or record.ratio > have.ratio:
            groups[key] = record
    return list(groups.values())
