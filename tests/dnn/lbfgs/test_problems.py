"""L-BFGS finds the minima of problems of Moré, Garbow and Hillstrom."""

import numpy as np
import pytest
from helpers import others_slow
from lbfgs_problems import PROBLEMS
from lbfgs_runs import TIGHT, on, run

from dnn.lbfgs import LBFGS, minimise


@pytest.mark.parametrize("backend_id", others_slow(["numpy", "torch", "strict"], ["numpy"]))
@pytest.mark.parametrize("name", PROBLEMS)
def test_finds_known_minima(make_backend, name, backend_id):
    problem, backend = PROBLEMS[name], make_backend(backend_id, "float64")
    function, start, values = on(backend, problem)
    state = minimise(function, start, backend=backend, settings=TIGHT)
    assert abs(state.value - problem.minimum) <= 1e-6 * max(1.0, state.value)
    assert state.value == problem(backend.to_host(state.point))[0]
    assert state.evaluations == len(values)


@pytest.mark.parametrize("name", PROBLEMS)
def test_float32_stops_where_float64_does_as_far_as_it_can(name):
    """The final gradient is at most ten times that of float64, or of float64's point rounded to float32.

    An error d of the point changes the gradient by 2 J^T J d, to first order. If the condition of J^T J is
    above 1 / eps, the search ends at a random place along a flat direction; the factor is then a hundred.
    """
    settings = LBFGS(max_iterations=2500, max_evaluations=2500)
    exact, single = (run(name, dtype, settings)[0] for dtype in ("float64", "float32"))
    J = PROBLEMS[name].linear(exact.point)[1]
    half = np.spacing(np.abs(exact.point).astype(np.float32)).astype(np.float64) / 2
    rounded = np.max(np.abs(2 * J.T @ J) @ half)
    reached = max(exact.history["gradient_norm"][-1], settings.gradient_tolerance, rounded)
    flat = np.linalg.cond(J) ** 2 > 1.0 / np.finfo(np.float32).eps
    assert single.history["gradient_norm"][-1] <= (100 if flat else 10) * reached
