"""Where a minimisation stands: all that the next iteration depends on."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dnn.lbfgs.direction import Pair

Array = Any


class Reason(StrEnum):
    """Why a minimisation stopped."""

    GRADIENT = "gradient_tolerance"
    DECREASE = "decrease_tolerance"
    ITERATIONS = "max_iterations"
    EVALUATIONS = "max_evaluations"
    LINE_SEARCH = "line_search_failed"
    NON_FINITE = "non_finite"

    @property
    def converged(self) -> bool:
        """Whether it is a minimum as far as the tolerances tell."""
        return self in (Reason.GRADIENT, Reason.DECREASE)


@dataclass(eq=False)
class State:
    """The current iterate x and what is remembered of the ones before.

    Two states with the same bits go on to the same iterates, so a state that was written to a file
    resumes as if nothing had happened.

    Attributes:
        point, gradient: x and g(x), (n,) in the backend's dtype.
        value: f(x).
        pairs: the last few steps, oldest first.
        iterations: steps taken so far; evaluations: calls of the function, those of failed and of
            interrupted line searches included.
        history: an entry for the start and for each iteration: "evaluations" so far, "loss" f(x), and
            "gradient_norm", the largest absolute entry of g(x).
        reason: why the last run stopped; None while it runs.
    """

    point: Array
    gradient: Array
    value: float
    pairs: list[Pair] = field(default_factory=list)
    iterations: int = 0
    evaluations: int = 0
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"evaluations": [], "loss": [], "gradient_norm": []}
    )
    reason: Reason | None = None

    def record(self, gradient_norm: float) -> None:
        """Write this iterate into the history."""
        self.history["evaluations"].append(self.evaluations)
        self.history["loss"].append(self.value)
        self.history["gradient_norm"].append(gradient_norm)
