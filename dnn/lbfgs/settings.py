"""The settings of L-BFGS, and what they may be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from backends import InputError
from dnn.validation.ranges import Checked, Count, NotNegative, Share
from dnn.validation.settings import require_number


@dataclass(frozen=True)
class LBFGS(Checked):
    """Limited-memory BFGS (Liu and Nocedal 1989).

    Args:
        memory: how many steps are remembered, 3 to 20 as a rule; each costs two vectors.
        max_iterations, max_evaluations: of one call. Nothing is evaluated past the second, and a line
            search that it cuts short is begun again when the minimisation goes on.
        gradient_tolerance: stop where no entry of the gradient is larger than this.
        decrease_tolerance: stop after an iteration that lowered f by less than this share of it.
        sufficient_decrease, curvature: c1 < c2 of the Wolfe conditions.
        line_search_evaluations: after so many trials a line search takes what it has or fails.

    Raises:
        InputError: a setting out of range.
    """

    memory: Count = 10
    max_iterations: Count = 100
    max_evaluations: Count = 10_000
    gradient_tolerance: NotNegative = 1e-5
    decrease_tolerance: NotNegative = 1e-12
    sufficient_decrease: Annotated[float, partial(require_number, low=0.0, high=0.5)] = 1e-4
    curvature: Share = 0.9
    line_search_evaluations: Count = 25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.sufficient_decrease < self.curvature:
            raise InputError(
                f"sufficient_decrease is {self.sufficient_decrease!r}, expected a number above 0 and below "
                f"the curvature {self.curvature!r}"
            )
