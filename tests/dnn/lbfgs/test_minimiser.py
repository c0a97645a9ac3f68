"""L-BFGS: directions, iterations on every backend, and reasons to stop."""

from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import (
    NUMPY,
    NUMPY64,
    assert_close,
    both_dtypes,
    input_error,
    same_bits,
    three_backends,
)
from lbfgs_problems import PROBLEMS
from lbfgs_runs import run

from dnn.lbfgs import LBFGS, Reason, minimise
from dnn.lbfgs.direction import descent_direction, first_diagonal, make_pair
from dnn.lbfgs.minimiser import _Minimiser


def test_the_direction_matches_bfgs():
    """With all pairs, -H g for the H of the BFGS formula (Nocedal and Wright 2006, equation 6.17).

    H starts as the inverse of a diagonal that the formula for B, equation 6.19, gives pair by pair.
    """
    rng = np.random.default_rng(8)
    A = rng.normal(size=(6, 6))
    A = A @ A.T + np.eye(6)
    pairs = [make_pair(np, s, A @ s, 1e-16) for s in rng.normal(size=(4, 6))]
    B = np.eye(6) * (pairs[0].y @ pairs[0].y) / (pairs[0].s @ pairs[0].y)
    for s, y in ((pair.s, pair.y) for pair in pairs):
        B = B * (y @ np.linalg.inv(B) @ y) / (s @ y)
        B = np.diag(np.diag(B - np.outer(B @ s, B @ s) / (s @ B @ s) + np.outer(y, y) / (s @ y)))
    H = np.linalg.inv(B)
    for pair in pairs:
        V = np.eye(6) - pair.rho * np.outer(pair.y, pair.s)
        H = V.T @ H @ V + pair.rho * np.outer(pair.s, pair.s)
    g = rng.normal(size=6)
    kept = g.copy()
    assert_close(descent_direction(np, g, pairs), -H @ g, 1e-12)
    assert same_bits(g, kept)
    assert_close(descent_direction(np, g, []), -g, 0.0)
    assert make_pair(np, g, -g, 1e-16) is None
    assert make_pair(np, g, 0.0 * g, 1e-16) is None
    assert make_pair(np, 0.0 * g, g, 1e-16) is None
    assert make_pair(np, inf * g, g, 1e-16) is None
    across = [make_pair(np, np.eye(2)[0], np.array([sy, 1.0]), 1e-16) for sy in (9e-17, 2e-16)]
    assert [pair is None for pair in across] == [True, False]  # bound on the rounding error
    assert np.all(first_diagonal(np, across[1:]) > 0.0)
    for epsilon in (0.4, 0.6):  # the cosine of the angle between s and y is a half
        assert (make_pair(np, np.ones(4), np.eye(4)[0], epsilon) is None) == (epsilon > 0.5)


@both_dtypes
@three_backends
def test_pairs_with_squares_that_underflow(make_backend, backend_id, dtype):
    """The squares of the step and of the gradient's change underflow, but the curvature is 1."""
    backend = make_backend(backend_id, dtype)
    tiny = float(np.finfo(dtype).tiny) ** 0.6
    s, g = (backend.from_host(np.asarray(v, dtype=dtype)) for v in ([tiny, -tiny, tiny / 2], [1.0, 2.0, 3.0]))
    assert float(backend.xp.sum(s * s)) == 0.0
    pair = make_pair(backend.xp, s, s, float(np.finfo(dtype).eps))
    found = backend.to_host(descent_direction(backend.xp, g, [pair] * 3))
    np.testing.assert_allclose(found, [-1.0, -2.0, -3.0], rtol=1e-6)
    function = lambda x: (0.5 * float(backend.xp.sum(x * x)), x + 0.0)  # noqa: E731
    state = minimise(function, s, backend=backend, settings=LBFGS(gradient_tolerance=0.0))
    assert state.reason in (Reason.GRADIENT, Reason.LINE_SEARCH)


# --------------------------------------------------------------------------- why it stops


def test_reasons():
    state, _ = run("wood", max_iterations=3)
    assert (state.reason, state.iterations) == (Reason.ITERATIONS, 3)
    assert [reason for reason in Reason if reason.converged] == [Reason.GRADIENT]
    for most in range(1, 30):
        state, calls = run("wood", max_evaluations=most)
        assert (state.reason, len(calls), state.evaluations) == (Reason.EVALUATIONS, most, most)


@pytest.mark.parametrize(
    ("losses", "norms", "tolerance", "reason"),
    [
        ([2.0, 1.0], [1.0, 1e-3], 0.0, Reason.GRADIENT),
        ([1.0] * 11, [1.0] * 11, 0.0, Reason.ROUNDING),
        ([1.0] * 10, [1.0] * 10, 0.0, None),
        ([1.0] * 11, [*[1.0] * 10, 0.9], 0.0, None),
        ([1.000001, *[1.0] * 10], [1.0] * 11, 0.0, None),
        ([1.000001, *[1.0] * 10], [1.0] * 11, 1.1e-6, Reason.DECREASE),
        ([1.000001, *[1.0] * 10], [1.0] * 11, 0.9e-6, None),
        ([1.000001, *[1.0] * 9], [1.0] * 10, 1.1e-6, None),
        ([-3.999998, *[-4.0] * 10], [1.0] * 11, 0.6e-6, Reason.DECREASE),
        ([2.0, 1.0, 0.9995], [3.0, 2.0, 1.0], 6e-4, Reason.DECREASE),  # above the root of epsilon
        ([2.0, 1.0, 0.9999], [3.0, 2.0, 1.0], 3e-4, None),
    ],
)
def test_stop_reasons(losses, norms, tolerance, reason):
    """Ten iterations together in float32; the root of its epsilon is 3.5e-4."""
    settings = LBFGS(gradient_tolerance=1e-3, decrease_tolerance=tolerance)
    state = SimpleNamespace(history={"loss": losses, "gradient_norm": norms})
    assert _Minimiser(None, NUMPY, settings).stop_reason(state) is reason


@pytest.mark.parametrize(("value", "slope"), [(inf, 1.0), (nan, 1.0), (1.0, inf), (1.0, nan)])
def test_stops_at_a_non_finite_start(value, slope):
    backend = NUMPY64
    state = minimise(lambda x: (value, np.array([1.0, slope])), np.ones(2), backend=backend)
    assert (state.reason, state.evaluations) == (Reason.NON_FINITE, 1)


@pytest.mark.parametrize("scale", [8.0, 0.05])
def test_first_trials(scale):
    """The first trial is 1 along the gradient; the second takes the full direction to the minimum."""
    way = []

    def bowl(x):
        way.append(x.copy())
        return float(scale / 2 * x @ x), scale * x

    minimise(bowl, np.array([3.0, 4.0]), backend=NUMPY64)
    np.testing.assert_allclose(way[1], np.array([0.6, 0.8]) * (5 - 1.0), rtol=1e-12)
    assert scale < 1 or np.abs(way[2]).max() < 1e-12


@pytest.mark.parametrize(("ulps", "iterations"), [(900, 1), (1100, 0)])
def test_a_rise_of_a_thousand_ulps_is_rounding(ulps, iterations):
    """The slope predicts a minimum at 0, but every value is larger than at the start."""
    backend = NUMPY64
    start = np.full(2, 0.5**0.5)  # of length 1, as the first step

    def function(x):
        return 1.0 + ulps * 2.0**-52 * float(np.any(x != start)), x + 0.0

    assert minimise(function, start, backend=backend).iterations == iterations


def test_never_accepts_non_finite_points():
    backend = NUMPY64

    def wall(x):  # -log(1 - x) - log(x), infinite outside (0, 1)
        if not 0 < x[0] < 1:
            return float("nan"), np.full(1, np.nan)
        return float(-np.log(1 - x[0]) - np.log(x[0])), 1 / (1 - x) - 1 / x

    state = minimise(wall, np.asarray([1e-3]), backend=backend)
    assert state.reason is Reason.GRADIENT
    assert state.point[0] == pytest.approx(0.5, abs=1e-6)
    assert minimise(wall, np.asarray([2.0]), backend=backend).reason is Reason.NON_FINITE


def test_a_wrong_gradient_ends_in_a_failed_search():
    backend = NUMPY64
    state = minimise(lambda x: (float(x @ x), -2 * x), np.ones(3), backend=backend)
    assert state.reason is Reason.LINE_SEARCH
    assert same_bits(state.point, np.ones(3))
    assert state.evaluations == 26


def test_the_start_is_unchanged_and_the_gradient_array_may_be_reused():
    backend = NUMPY64
    buffer, problem = np.zeros(4), PROBLEMS["wood"]

    def function(x):
        value, buffer[...] = problem(x)
        return value, buffer

    start = np.asarray(problem.start)
    kept = start.copy()
    state = minimise(function, start, backend=backend)
    expected, _ = run("wood")
    assert same_bits(state.point, expected.point)
    assert same_bits(start, kept)
    state = minimise(function, start, backend=backend, settings=LBFGS(gradient_tolerance=1e9))
    start[...] = 0.0
    assert same_bits(state.point, kept)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"memory": 0}, "memory is 0, expected an integer of at least 1"),
        ({"gradient_tolerance": -1.0}, "gradient_tolerance is -1.0"),
        ({"decrease_tolerance": float("nan")}, "decrease_tolerance is nan"),
    ],
)
def test_settings_out_of_range(settings, message):
    with input_error(message):
        LBFGS(**settings)


def test_usual_settings():
    assert LBFGS() == LBFGS(10, 100, 10_000, 1e-5, 1e-12)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([1.0, 2.0], "start is a builtins.list, expected an array of the backend 'numpy'"),
        (np.ones((2, 2)), r"start has shape \(2, 2\) and dtype float64, expected one axis"),
        (np.ones(0), r"start has shape \(0,\)"),
        (np.ones(2, dtype=np.float32), r"shape \(2,\) and dtype float32, expected one axis .* and float64"),
    ],
)
def test_rejects_invalid_starts(start, message):
    with input_error(message):
        minimise(lambda x: (0.0, x), start, backend=NUMPY64)
