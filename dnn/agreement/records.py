"""Record: one number that was measured, and the bound that it must not exceed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Record:
    """One comparison with the oracle.

    Attributes:
        level: "L0" ... "L5".
        case: which network, kernel or layer.
        tensor: what was compared: "z dense_1", "dense_2.W", ...
        backend: the contender's id.
        measured: the error; infinity where library, dtype, device or shape already differ.
        bound: what it must not exceed.
        note: what a person should know beside the number.
    """

    level: str
    case: str
    tensor: str
    backend: str
    measured: float
    bound: float
    note: str = ""

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


def refused(level: str, case: str, backend: str, error: Exception) -> Record:
    """The record of a contender whose tensor was not let in: broken, whatever its numbers are."""
    return Record(level, case, "door", backend, float("inf"), 0.0, str(error))


def worst(records: Iterable[Record]) -> Record:
    """The record with the largest measured / bound."""
    return max(records, key=lambda record: record.ratio)


def worst_of_each(records: Iterable[Record]) -> list[Record]:
    """For each (level, case, tensor, backend) the worst of its records, in order of appearance."""
    groups: dict[tuple[str, ...], Record] = {}
    for record in records:
        key = (record.level, record.case, record.tensor, record.backend)
        have = groups.get(key)
        if have is None or record.ratio > have.ratio:
            groups[key] = record
    return list(groups.values())
