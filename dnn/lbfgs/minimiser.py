"""L-BFGS on any function of one flat vector, on any backend.

An iteration computes a direction from the stored steps, searches along it, and stores the new step in place
of the oldest. Vectors stay on the device; a few numbers per iteration are read back.
"""

from collections.abc import Callable
from functools import partial
from math import inf, isfinite, sqrt

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import reraise, short_repr
from dnn.lbfgs.direction import descent_direction, dot, make_pair
from dnn.lbfgs.line_search import LineSearch, Trial
from dnn.lbfgs.state import LBFGS, Reason, State
from dnn.settings.checks import require_kind

Function = Callable[[Array], tuple[float, Array]]
Watch = Callable[[State], object] | None
ROUNDING_ULPS = 1000.0  # error of a sum of squares of small differences between large numbers
MAX_TRIALS = 25  # of a line search
PATIENCE_ITERATIONS = 10  # iterations judged together: f may stay equal in one and fall in the next


class _OutOfEvaluations(Exception):
    """The function was called ``max_evaluations`` times."""


class _Minimiser:
    def __init__(self, function: Function, backend: Backend, settings: LBFGS) -> None:
        self.function = function
        self.settings = settings
        self.xp = backend.xp
        self.epsilon = float(np.finfo(backend.dtype_name).eps)
        self.rounding = ROUNDING_ULPS * self.epsilon  # relative rounding error of f

    def evaluate(self, state: State, point: Array) -> tuple[float, Array]:
        """Return f and a copy of its gradient (n,), and count the call.

        Raises InputError: the function returns no such pair. _OutOfEvaluations: no call is left.
        """
        if state.evaluations == self.last_evaluation:
            raise _OutOfEvaluations
        returned = self.function(point)
        got = f"function returned {short_repr(returned)}"
        expected = f"(f, gradient): a number and an array of shape {tuple(point.shape)}"
        with reraise((TypeError, ValueError, OverflowError, RuntimeError), got, expected):
            value, gradient = returned
            value = float(value)
            # A copy: the function may write its next gradient into the same array.
            gradient = self.xp.asarray(gradient, copy=True)
        if gradient.shape != point.shape:
            raise InputError(got, expected)
        state.evaluations += 1
        return value, gradient

    def search(self, state: State) -> Trial | None:
        """Return the accepted trial along -H g, else along -g; None if there is none.

        On a function with steep walls the stored steps together can give a bad direction, although each was
        a good step. If the search along -H g fails, they are dropped and the steepest descent is tried.
        """
        pairs = state.pairs
        while True:
            direction = descent_direction(self.xp, state.gradient, pairs)
            slope = dot(self.xp, state.gradient, direction)
            found = None
            if isfinite(slope) and slope < 0.0:
                along = partial(self.along, state, direction)
                rounding = self.rounding * abs(state.value)
                search = LineSearch(along, Trial(0.0, state.value, slope), MAX_TRIALS, rounding)
                # Without pairs d is -g, whose length says nothing about a step; the first step has length 1.
                found = search.run(1.0 if pairs else 1.0 / sqrt(-slope))
            if found is not None or not pairs:
                state.pairs = pairs
                return found
            pairs = []

    def along(self, state: State, direction: Array, step: float) -> Trial:
        """Evaluate the function at a step along the direction."""
        point = state.point + step * direction
        value, gradient = self.evaluate(state, point)
        slope = dot(self.xp, gradient, direction)
        return Trial(step, value, slope, point, gradient)

    def accept(self, state: State, trial: Trial) -> None:
        """Move the state to the trial's point, and store the step."""
        step = trial.point - state.point
        change = trial.gradient - state.gradient
        pair = make_pair(self.xp, step, change, self.epsilon)
        pairs = state.pairs if pair is None else [*state.pairs, pair][-self.settings.memory :]
        state.record(self.xp, trial.value, trial.gradient, point=trial.point, pairs=pairs)

    def stop_reason(self, state: State) -> Reason | None:
        """Return the reason to stop, or None. It depends on the history only, so resumed runs stop alike."""
        values = state.history["loss"]
        norms = state.history["gradient_norm"]
        tolerance = self.settings.decrease_tolerance
        if norms[-1] <= self.settings.gradient_tolerance:
            return Reason.GRADIENT
        if all(self.decrease(numbers, PATIENCE_ITERATIONS) <= 0.0 for numbers in (norms, values)):
            return Reason.ROUNDING
        last = 1 if tolerance > sqrt(self.epsilon) else PATIENCE_ITERATIONS
        stalled = self.decrease(values, last) < tolerance * abs(values[-1])
        return Reason.DECREASE if stalled and tolerance > 0.0 else None

    @staticmethod
    def decrease(history: list[float], last: int) -> float:
        """Return the minimum of all but the last few entries (inf if empty) minus that of the last few."""
        return min(history[:-last], default=inf) - min(history[-last:])

    @np.errstate(all="ignore")  # overflow makes a slope or a pair non-finite, which is checked
    def run(self, state: State, watch: Watch) -> Reason:
        """Iterate until there is a reason to stop."""
        self.last_evaluation = state.evaluations + self.settings.max_evaluations
        if state.gradient is None:
            state.record(self.xp, *self.evaluate(state, state.point))
        last_iteration = state.iterations + self.settings.max_iterations
        if not (isfinite(state.value) and isfinite(state.history["gradient_norm"][-1])):
            return Reason.NON_FINITE
        while True:
            if (reason := self.stop_reason(state)) is not None:
                return reason
            if state.iterations >= last_iteration:
                return Reason.ITERATIONS
            try:
                trial = self.search(state)
            except _OutOfEvaluations:  # a resumed run repeats this search
                return Reason.EVALUATIONS
            if trial is None:
                return Reason.LINE_SEARCH
            self.accept(state, trial)
            if watch is not None:
                watch(state)


def minimise(
    function: Function, start: Array | State, *, backend: Backend, settings: LBFGS | None = None,
    watch: Watch = None,
) -> State:  # fmt: skip
    """Minimise f by L-BFGS with a line search for the strong Wolfe conditions.

    Args:
        function: takes a point (n,) and returns (f, gradient (n,)): f on the host, the gradient on the
            backend's device, with the same bits for the same point. If either is not finite, the line
            search shortens the step.
        start: (n,) in the backend's dtype, which is not changed; or the state of an earlier run, which is
            continued and changed. Two runs of 5 iterations equal one of 10.
        backend: of the vectors.
        settings: None: ``LBFGS()``.
        watch: called with the state after each iteration, for example to save it.
    Returns the state; ``state.reason`` says why it stopped.
    Raises InputError: start has another library, device, dtype or shape.

    Source: Liu and Nocedal, "On the limited memory BFGS method for large scale optimization" (1989).

    >>> import numpy as np
    >>> from backends import get_backend
    >>> backend = get_backend("numpy", dtype="float64")
    >>> bowl = lambda x: (float(np.sum((x - 3.0) ** 2)), 2.0 * (x - 3.0))
    >>> minimise(bowl, np.zeros(2), backend=backend).point
    array([3., 3.])
    """
    settings = require_kind("settings", settings, LBFGS, None) or LBFGS()
    require_kind("backend", backend, Backend)
    require_kind("function", function, Callable)
    require_kind("watch", watch, Callable, None)
    point = start.point if isinstance(start, State) else start
    backend.check("start", point)
    if len(point.shape) != 1 or point.shape[0] == 0 or point.dtype != backend.dtype:
        got = f"start has shape {tuple(point.shape)} and dtype {point.dtype}"
        raise InputError(got, f"one axis (n,) with n above 0, and {backend.dtype_name}")
    state = start if isinstance(start, State) else State(backend.xp.asarray(start, copy=True))
    del state.pairs[: -settings.memory]
    state.reason = None
    state.reason = _Minimiser(function, backend, settings).run(state, watch)
    return state
