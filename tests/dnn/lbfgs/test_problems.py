"""L-BFGS finds the minima of problems of Moré, Garbow and Hillstrom, in no more evaluations than SciPy."""

import numpy as np
import pytest
from helpers import NUMPY64, others_slow
from lbfgs_problems import PROBLEMS
from lbfgs_runs import TIGHT, on, run
from scipy.optimize import minimize

from dnn.lbfgs import LBFGS, minimise

SCIPY = {"maxcor": 10, "maxiter": 15_000, "maxfun": 15_000, "ftol": 1e-15, "gtol": 1e-9}


@pytest.mark.parametrize("backend_id", others_slow(["numpy", "torch", "strict"], ["numpy"]))
@pytest.mark.parametrize("name", PROBLEMS)
def test_finds_known_minima(make_backend, name, backend_id):
    problem, backend = PROBLEMS[name], make_backend(backend_id, "float64")
    function, start, values = on(backend, problem)
    state = minimise(function, start, backend=backend, settings=TIGHT)
    assert min(abs(state.value - known) for known in problem.minima) <= 1e-6 * max(1.0, state.value)
    assert state.value == problem(backend.to_host(state.point))[0]
    assert state.evaluations == len(values)


def evaluations_needed(values, problem):
    """Return the number of evaluations up to a known minimum, or None."""
    solved = [any(abs(v - m) <= max(1e-9, 1e-6 * m) for m in problem.minima) for v in values]
    return solved.index(True) + 1 if any(solved) else None


def test_about_as_many_evaluations_as_scipy():
    """Compare the geometric mean over the problems that both solve; SciPy stops too early on two or three.

    Rounding differs between processors and changes the path to a minimum: single ratios vary by 0.8 to 1.3,
    their mean over 11 problems by a standard error of 5 %. It was 1.015 with SSE 4.2, at most 1 with AVX-512.
    """
    ratios = []
    for name, problem in PROBLEMS.items():
        function, start, theirs = on(NUMPY64, problem)
        minimize(function, start, jac=True, method="L-BFGS-B", options=SCIPY)
        ours, theirs = (evaluations_needed(v, problem) for v in (run(name, settings=TIGHT)[1], theirs))
        assert ours is not None, name
        if theirs is not None:
            ratios.append(ours / theirs)
    assert len(ratios) >= 9
    assert np.exp(np.mean(np.log(ratios))) <= 1.2


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
