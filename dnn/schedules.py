"""Learning rates that change from update to update, as tables: the device reads its own next rate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from backends import InputError
from dnn.inputs import require_number


@dataclass(frozen=True)
class Schedule:
    """A rate for every update, counted over the model's life; past the table's end its last one."""

    name: ClassVar[str]

    def rates(self) -> np.ndarray:
        """The table: (n,) float64, rate of update 0, 1, ..."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Name and settings as JSON values."""
        return {"name": self.name, **asdict(self)}


@dataclass(frozen=True)
class LinearDecay(Schedule):
    """From ``initial`` in a straight line to ``final`` after ``steps`` updates, then ``final``.

    The last small steps average out the noise of single batches: on the lecture's network they are
    worth several tenths of a point of test accuracy against a constant rate.

    Args:
        initial: rate of the first update, at least 0.
        steps: at least 1.
        final: at least 0.

    >>> LinearDecay(1.0, steps=4).rates()
    array([1.  , 0.75, 0.5 , 0.25, 0.  ])
    """

    initial: float
    steps: int
    final: float = 0.0

    name = "linear"

    def __post_init__(self) -> None:
        require_number("learning_rate", self.initial, 0.0)
        require_number("final", self.final, 0.0)
        if isinstance(self.steps, bool) or not isinstance(self.steps, int) or self.steps < 1:
            raise InputError(f"steps is {self.steps!r}, expected an integer of at least 1")

    def rates(self) -> np.ndarray:
        return np.linspace(self.initial, self.final, self.steps + 1)
