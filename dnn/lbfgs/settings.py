"""The settings of L-BFGS, and what they may be."""

from __future__ import annotations

from dataclasses import dataclass

from backends import InputError
from dnn.validation.settings import positive_integer, require_number


@dataclass(frozen=True)
class LBFGS:
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

    memory: int = 10
    max_iterations: int = 100
    max_evaluations: int = 10_000
    gradient_tolerance: float = 1e-5
    decrease_tolerance: float = 1e-12
    sufficient_decrease: float = 1e-4
    curvature: float = 0.9
    line_search_evaluations: int = 25

    def __post_init__(self) -> None:
        for name in ("memory", "max_iterations", "max_evaluations", "line_search_evaluations"):
            positive_integer(name, getattr(self, name))
        require_number("gradient_tolerance", self.gradient_tolerance, 0.0)
        require_number("decrease_tolerance", self.decrease_tolerance, 0.0)
        require_number("curvature", self.curvature, 0.0, 1.0)
        require_number("sufficient_decrease", self.sufficient_decrease, 0.0, 0.5)
        if not 0.0 < self.sufficient_decrease < self.curvature:
            raise InputError(
                f"sufficient_decrease is {self.sufficient_decrease!r}, expected a number above 0 and below "
                f"the curvature {self.curvature!r}"
            )
