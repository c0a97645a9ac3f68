"""L-BFGS on any function of one flat vector, on any backend.

An iteration: the direction from the remembered steps, a line search along it, and the step that was taken is
remembered in the place of the oldest. Vectors stay on the device; a few numbers an iteration are read back.
"""

from collections.abc import Callable
from functools import partial
from math import inf, isfinite, sqrt

import numpy as np

from backends import Array, Backend, InputError
from dnn.lbfgs.direction import descent_direction, dot, make_pair
from dnn.lbfgs.line_search import LineSearch, Trial
from dnn.lbfgs.state import LBFGS, Reason, State
from dnn.validation.settings import require_kind

Function = Callable[[Array], tuple[float, Array]]
ROUNDING_ULPS = 1000.0  # by so many ulps a sum of squares of small differences of large numbers is off
PATIENCE_ITERATIONS = (
    10  # iterations looked at together: one alone may leave f as it is, on the way to a lower one
)


class _Minimiser:
    def __init__(self, function: Function, backend: Backend, settings: LBFGS) -> None:
        self.function = function
        self.settings = settings
        self.xp = backend.xp
        self.epsilon = float(np.finfo(backend.dtype_name).eps)
        self.rounding = ROUNDING_ULPS * self.epsilon  # of f, as a share of it

    def evaluate(self, point: Array) -> tuple[float, Array]:
        value, gradient = self.function(point)
        # A copy: the function may write its next gradient into the same array.
        return float(value), self.xp.asarray(gradient, copy=True)

    def search(self, state: State, evaluations: int) -> Trial | None:
        """The accepted point along the direction of the remembered steps, else along -g; None: there is none,
        or it was not found within so many evaluations.
        Every step that is remembered was right once, but on a function with steep walls all of them
        together can mislead: then they are forgotten, and the steepest descent is tried.
        """
        settings = self.settings
        while True:
            with np.errstate(all="ignore"):  # of steps that do not fit together; the slope shows it
                direction = descent_direction(self.xp, state.gradient, state.pairs)
                slope = dot(self.xp, state.gradient, direction)
            found = None
            if isfinite(slope) and slope < 0.0:
                allowed = min(settings.line_search_evaluations, evaluations)
                along = partial(self.along, state, direction)
                rounding = self.rounding * abs(state.value)
                search = LineSearch(along, Trial(0.0, state.value, slope), settings, allowed, rounding)
                # Without pairs d has the gradient's size, which says nothing of how far to go.
                found = search.run(1.0 if state.pairs else min(1.0, 1.0 / sqrt(-slope)))
                evaluations -= allowed - search.trials_left
                if search.exhausted and allowed < settings.line_search_evaluations:
                    return None  # with more evaluations it would have found another one
            if found is not None or evaluations == 0 or not state.pairs:
                return found
            state.pairs.clear()

    def along(self, state: State, direction: Array, step: float) -> Trial:
        with np.errstate(over="ignore", invalid="ignore"):  # too far out; the search turns back by itself
            point = state.point + step * direction
            value, gradient = self.evaluate(point)
            slope = dot(self.xp, gradient, direction)
        state.evaluations += 1
        return Trial(step, value, slope, point, gradient)

    def accept(self, state: State, trial: Trial) -> None:
        with np.errstate(all="ignore"):  # a pair that overflows is none
            step = trial.point - state.point
            change = trial.gradient - state.gradient
            pair = make_pair(self.xp, step, change, self.epsilon)
        if pair is not None:
            state.pairs.append(pair)
            del state.pairs[: -self.settings.memory]
        state.point = trial.point
        state.gradient = trial.gradient
        state.value = trial.value
        state.iterations += 1
        state.record(self.xp)

    def stop_reason(self, state: State) -> Reason | None:
        """The reason to stop here, from the history alone, so that a state that goes on finds the same."""
        values = state.history["loss"]
        norms = state.history["gradient_norm"]
        tolerance = self.settings.decrease_tolerance
        if norms[-1] <= self.settings.gradient_tolerance:
            return Reason.GRADIENT
        if (
            self.decrease(norms, PATIENCE_ITERATIONS) <= 0.0
            and self.decrease(values, PATIENCE_ITERATIONS) <= 0.0
        ):
            return Reason.ROUNDING
        last = 1 if tolerance > sqrt(self.epsilon) else PATIENCE_ITERATIONS
        stalled = self.decrease(values, last) < tolerance * abs(values[-1])
        return Reason.DECREASE if stalled and tolerance > 0.0 else None

    @staticmethod
    def decrease(history: list[float], last: int) -> float:
        """By how much the lowest of the last few entries lies below all before; inf if there are none."""
        return min(history[:-last], default=inf) - min(history[-last:])

    def run(self, state: State, evaluations: int, watch: Callable[[State], object] | None) -> Reason:
        """Iterate until something says stop; ``evaluations`` is how many the function may still be asked."""
        last_iteration = state.iterations + self.settings.max_iterations
        last_evaluation = state.evaluations + evaluations
        if not (isfinite(state.value) and isfinite(state.history["gradient_norm"][-1])):
            return Reason.NON_FINITE
        while True:
            if (reason := self.stop_reason(state)) is not None:
                return reason
            if state.iterations >= last_iteration:
                return Reason.ITERATIONS
            if state.evaluations >= last_evaluation:
                return Reason.EVALUATIONS
            remembered = list(state.pairs)
            trial = self.search(state, last_evaluation - state.evaluations)
            if trial is None:
                if state.evaluations < last_evaluation:
                    return Reason.LINE_SEARCH
                state.pairs = remembered  # so that going on repeats this search
                return Reason.EVALUATIONS
            self.accept(state, trial)
            if watch is not None:
                watch(state)


def minimise(
    function: Function, start: Array | State, *, backend: Backend, settings: LBFGS | None = None,
    watch: Callable[[State], object] | None = None,
) -> State:  # fmt: skip
    """Look for a minimum of f by L-BFGS with a line search for the strong Wolfe conditions.

    Args:
        function: point (n,) -> (f, gradient (n,)), f a number on the host, the gradient on the
            backend's device; the same bits for the same point. Where f or its gradient is not finite
            the line search turns back.
        start: (n,) in the backend's dtype, which stays as it is; or the state in which an earlier run
            stopped, which is continued (and changed): two runs of 5 iterations are one of 10.
        settings: None: ``LBFGS()``.
        watch: is called with the state after each iteration, for instance to save it.
    Returns the state, with the reason for which it stopped.
    Raises InputError: a start of another library, device, dtype or shape.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989).

    >>> import numpy as np
    >>> from backends import get_backend
    >>> backend = get_backend("numpy", dtype="float64")
    >>> bowl = lambda x: (float(np.sum((x - 3.0) ** 2)), 2.0 * (x - 3.0))
    >>> minimise(bowl, np.zeros(2), backend=backend).point
    array([3., 3.])
    """
    settings = require_kind("settings", settings, LBFGS, None) or LBFGS()
    require_kind("backend", backend, Backend), require_kind("function", function, Callable)
    require_kind("watch", watch, Callable, None)
    point = start.point if isinstance(start, State) else start
    backend.check("start", point)
    if len(point.shape) != 1 or point.shape[0] == 0:
        raise InputError(f"start has shape {tuple(point.shape)}, expected one axis (n,) with n above 0")
    if point.dtype != backend.dtype:
        raise InputError(f"start has dtype {point.dtype}", backend.dtype_name, "convert it with astype")
    minimiser = _Minimiser(function, backend, settings)
    evaluations = settings.max_evaluations
    if isinstance(start, State):
        state = start
        del state.pairs[: -settings.memory]
    else:
        point = backend.xp.asarray(start, copy=True)
        value, gradient = minimiser.evaluate(point)
        state = State(point, gradient, value, evaluations=1)
        state.record(backend.xp)
        evaluations -= 1
    state.reason = None
    state.reason = minimiser.run(state, evaluations, watch)
    return state
