"""L-BFGS on the problems of Moré, Garbow and Hillstrom and of NIST: how many it solves, beside SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from lbfgs_problems import more_garbow_hillstrom, nist_strd
from lbfgs_problems.table import PROBLEMS, SETTINGS, ours, scipys

from backends import get_backend
from dnn.lbfgs import LBFGS

# What costs few evaluations, and where SciPy stops early: flat valleys, bad scales, exponentials.
QUICK = (
    "rosenbrock", "freudenstein_roth", "powell_badly_scaled", "jennrich_sampson", "wood", "osborne_1",
    "watson_6", "chebyquad_8", "BoxBOD_2", "DanWood_1", "ENSO_1", "Misra1a_1", "MGH17_2", "Rat42_1",
)  # fmt: skip


def test_there_are_96():
    assert (len(more_garbow_hillstrom.PROBLEMS), len(nist_strd.PROBLEMS), len(PROBLEMS)) == (42, 54, 96)


@pytest.mark.parametrize("name", nist_strd.PROBLEMS)
def test_the_certified_parameters_give_the_certified_sum_of_squares(name):
    problem = nist_strd.PROBLEMS[name]
    squares, _ = problem(np.asarray(problem.solution))
    # Ten digits of the parameters: of Lanczos1, whose residuals are 1e-13, that is all there is.
    assert squares == pytest.approx(problem.minima[0], rel=1e-9, abs=1e-20)


@pytest.mark.parametrize("name", more_garbow_hillstrom.PROBLEMS)
def test_least_squares_finds_a_minimum_that_is_known(name):
    """MINPACK's Levenberg-Marquardt, which is another way to the same numbers."""
    from scipy.optimize import least_squares

    problem = more_garbow_hillstrom.PROBLEMS[name]
    start = np.asarray(problem.start, dtype=np.float64)
    residuals, jacobian = (lambda x, part=part: problem.linear(x)[part] for part in (0, 1))
    found = least_squares(residuals, start, jacobian, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15)
    near = min(problem.minima, key=lambda known: abs(known - 2 * found.cost))
    assert 2 * found.cost == pytest.approx(near, rel=1e-5, abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("backend_id", ["numpy", "numba", "torch", "strict", "cupy", "torch:cuda"])
def test_a_share_of_them_on_every_backend(make_backend, backend_id):
    backend = make_backend(backend_id, "float64")
    missed = [name for name in QUICK if not ours(PROBLEMS[name], backend)[2]]
    assert not missed


@pytest.mark.slow
def test_all_of_them_beside_scipy():
    """40 of 42, 47 of 54, and no more evaluations up to the solution than SciPy, by geometric mean."""
    backend, counts, ratios = get_backend("numpy", dtype="float64"), {42: 0, 54: 0}, []
    assert SETTINGS.memory == 10
    assert SETTINGS.max_evaluations == 2500
    for name, problem in PROBLEMS.items():
        watched, _, here = ours(problem, backend)
        theirs, there = scipys(problem)
        counts[42 if name in more_garbow_hillstrom.PROBLEMS else 54] += here
        if here and there:
            ratios.append(watched.first / theirs.first)
    assert counts[42] >= 40
    assert counts[54] >= 47
    assert len(ratios) >= 70
    assert np.exp(np.mean(np.log(ratios))) <= 1.0


@pytest.mark.parametrize("name", more_garbow_hillstrom.PROBLEMS)
def test_float32_stops_where_float64_does_as_far_as_it_can(name):
    """The gradient at the stop within ten times float64's, or of what its point has when rounded to float32.

    A coordinate off by half its last place changes the gradient by 2 J^T J of that, to first order. Where the
    condition of J^T J is above 1 / eps, flat directions are below rounding, and where a search ends in them
    is chance: there a hundred times.
    """
    problem = PROBLEMS[name]
    settings = LBFGS(max_iterations=2500, max_evaluations=2500)
    backends = (get_backend("numpy", dtype=dtype) for dtype in ("float64", "float32"))
    exact, single = (ours(problem, backend, settings)[1] for backend in backends)
    J = problem.linear(exact.point)[1]
    half = np.spacing(np.abs(exact.point).astype(np.float32)).astype(np.float64) / 2
    rounded = np.max(np.abs(2 * J.T @ J) @ half)
    reached = max(exact.history["gradient_norm"][-1], settings.gradient_tolerance, rounded)
    flat = np.linalg.cond(J) ** 2 > 1.0 / np.finfo(np.float32).eps
    assert single.history["gradient_norm"][-1] <= (100 if flat else 10) * reached
