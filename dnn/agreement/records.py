"""Record: one measured error and its bound."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Record:
    """One comparison of a tensor with the oracle."""

    level: str  # "L0" to "L5"
    case: str  # name of the network, kernel or layer
    tensor: str  # name of the compared tensor: "z dense_1", "dense_2.W", ...
    backend: str  # the contender's id
    measured: float  # the error; infinity if the library, dtype, device or shape differs
    bound: float  # largest allowed error
    note: str = ""  # remark for the reader, such as the step

    @property
    def holds(self) -> bool:
        """Whether measured <= bound. False for NaN."""
        return self.measured <= self.bound

    @property
    def ratio(self) -> float:
        """measured / bound; above 1 the bound is broken. Infinity for NaN, so that it ranks worst."""
        if self.bound == 0.0 or np.isnan(self.measured):
            return 0.0 if self.measured == 0.0 else np.inf
        return self.measured / self.bound


Error = Callable[[str, Any, Any], float]
Bound = float | Callable[[str, float], float]


def count_different(tensor: str, got: Any, expected: Any) -> float:
    """Return the number of elements that differ. NaN equals NaN."""
    return float(np.count_nonzero((got != expected) & ~(np.isnan(got) & np.isnan(expected))))


def worst_record(records: Iterable[Record]) -> Record:
    """Return the record with the largest ratio."""
    return max(records, key=lambda record: record.ratio)
