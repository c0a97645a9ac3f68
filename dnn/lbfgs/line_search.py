"""Line search: find a step along a direction that meets the strong Wolfe conditions.

Symbols: phi(a) = f(x + a d) is the function along the direction d, with slope phi'(a) = g(x + a d) . d. The
conditions on the step a are  phi(a) <= phi(0) + c1 a phi'(0)  (sufficient decrease)  and
|phi'(a)| <= c2 |phi'(0)|  (curvature). An interval of such steps exists on any smooth function that is
bounded below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import copysign, inf, isfinite, nan, sqrt

from backends import Array


@dataclass(frozen=True, eq=False)
class Trial:
    """Value, slope and gradient of the function at one step along the direction."""

    step: float
    value: float
    slope: float
    point: Array = None  # (n,)
    gradient: Array = None  # (n,), not overwritten by later trials

    @property
    def is_finite(self) -> bool:
        """Whether value and slope are finite; NaN or infinity anywhere in the gradient affects the slope."""
        return isfinite(self.value) and isfinite(self.slope)


def cubic_minimiser(a: Trial, b: Trial) -> float:
    """Return the minimiser of the cubic through both trials, NaN if none (Nocedal and Wright, eq. 3.59)."""
    if a.step == b.step:
        return nan
    width = b.step - a.step
    d1 = a.slope + b.slope - 3.0 * (b.value - a.value) / width
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0.0:
        return nan
    d2 = copysign(sqrt(square), width)
    denominator = b.slope - a.slope + 2.0 * d2
    return b.step - width * (b.slope + d2 - d1) / denominator if denominator != 0.0 else nan


@dataclass(eq=False)
class LineSearch:
    """One line search.

    If values differ by less than ``rounding``, only the slopes decide: the approximate Wolfe conditions of
    Hager and Zhang 2005. The search of an interval ends when its slope predicts a decrease of less than
    1e-4 ``rounding``.
    """

    along: Callable[[float], Trial]  # evaluates a step
    start: Trial  # step 0, with negative slope
    trials_left: int  # number of evaluations that are still allowed
    rounding: float  # bound on the rounding error of a value
    c1: float = 1e-4
    c2: float = 0.9

    def _try(self, step: float) -> Trial:
        self.trials_left -= 1
        return self.along(step)

    def _falls_enough(self, trial: Trial) -> bool:
        start = self.start
        if not trial.is_finite or trial.value <= start.value + self.c1 * trial.step * start.slope:
            return trial.is_finite
        near = abs(trial.value - start.value) <= self.rounding
        return near and trial.slope <= (2.0 * self.c1 - 1.0) * start.slope

    def _is_flat(self, trial: Trial) -> bool:
        return abs(trial.slope) <= -self.c2 * self.start.slope

    def run(self, step: float) -> Trial | None:
        """Return the first trial that meets both conditions, going outward from ``step``.

        If the trials run out, return the best one with sufficient decrease; None if there is none.
        Source: Nocedal and Wright (2006), algorithm 3.5; factors of the extrapolation from Moré and Thuente
        (1994), section 4.
        """
        low = self.start
        ceiling = inf
        while self.trials_left > 0:
            trial = self._try(step)
            if not trial.is_finite:  # too far: try a tenth of the way
                ceiling = trial.step
                step = low.step + 0.1 * (ceiling - low.step)
                continue
            if trial.value > low.value + self.rounding or not self._falls_enough(trial):
                return self._zoom(low, trial)
            if self._is_flat(trial):
                return trial
            if trial.slope >= 0.0:
                return self._zoom(trial, low)
            width = trial.step - low.step
            nearest = trial.step + 1.1 * width
            farthest = trial.step + 4.0 * width
            guess = cubic_minimiser(low, trial)
            step = min(max(guess, nearest), farthest) if guess > trial.step else farthest
            if step >= ceiling:
                step = 0.5 * (trial.step + ceiling)
            low = trial
        return self._best(low)

    def _best(self, low: Trial) -> Trial | None:
        """Return the result if no trial met both conditions: the lowest trial if it is below the start."""
        return low if low.value < self.start.value else None

    def _zoom(self, low: Trial, high: Trial) -> Trial | None:
        """Search between ``low``, the lowest trial with sufficient decrease, and ``high``, across a minimum.

        Each trial is the minimum of the cubic, at least a tenth of the interval away from both ends so that
        the interval shrinks; or the middle if the cubic has no minimum. Source: Nocedal and Wright (2006),
        algorithm 3.6.
        """
        while self.trials_left > 0:
            width = high.step - low.step  # negative if high is to the left
            guess = (cubic_minimiser(low, high) - low.step) / width
            share = min(max(guess, 0.1), 0.9) if isfinite(guess) else 0.5
            step = low.step + share * width
            if step in (low.step, high.step) or abs(width * low.slope) < 1e-4 * self.rounding:
                break  # there is no number in between, or no lower value
            trial = self._try(step)
            if not self._falls_enough(trial) or trial.value > low.value + self.rounding:
                high = trial
                continue
            if self._is_flat(trial):
                return trial
            if trial.slope * width >= 0.0:
                high = low
            low = trial
        return self._best(low)
