"""L-BFGS: the standard test functions against scipy, and resuming to the bit."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import assert_close, same_bits
from standard_functions import PROBLEMS

from backends import InputError, get_backend
from dnn import tensor_files
from dnn.checkpoints import CheckpointError
from dnn.lbfgs import LBFGS, Reason, load_state, minimise, save_state
from dnn.lbfgs.direction import Pair, descent_direction, make_pair
from dnn.lbfgs.files import FORMAT, VERSION

EPS = float(np.finfo(np.float32).eps)
TIGHT = LBFGS(max_iterations=5000, max_evaluations=20_000, gradient_tolerance=1e-9, decrease_tolerance=1e-15)


def on(backend, problem):
    """The problem as a function of the backend's vectors, with a count of its calls."""
    calls = []

    def function(point):
        calls.append(None)
        value, gradient = problem(np.array(backend.to_host(point), dtype=np.float64))
        return value, backend.from_host(gradient.astype(backend.dtype_name))

    start = backend.from_host(np.asarray(problem.start, dtype=backend.dtype_name))
    return function, start, calls


# --------------------------------------------------------------------------- the standard functions


@pytest.mark.parametrize("name", PROBLEMS)
def test_gradients_of_the_test_functions(name):
    problem, rng = PROBLEMS[name], np.random.default_rng(5)
    for _ in range(3):
        x = np.asarray(problem.start) + 0.1 * rng.normal(size=len(problem.start))
        r, J = problem.residuals(x)
        h = 1e-6 * np.maximum(1.0, np.abs(x))
        for j in range(len(x)):
            step = h[j] * np.eye(len(x))[j]
            noise = 1e-7 * np.abs(J).max() + 1e-15 * np.abs(r).max() / h[j]
            slope = (problem.residuals(x + step)[0] - problem.residuals(x - step)[0]) / (2 * h[j])
            np.testing.assert_allclose(J[:, j], slope, rtol=1e-6, atol=noise)
        value, gradient = problem(x)
        assert value == pytest.approx(np.sum(r**2))
        np.testing.assert_allclose(gradient, 2 * J.T @ r)


@pytest.mark.parametrize("backend_id", ["numpy", "torch", "strict"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_finds_the_minimum_that_scipy_finds(make_backend, name, backend_id):
    from scipy.optimize import minimize

    problem, backend = PROBLEMS[name], make_backend(backend_id, "float64")
    function, start, calls = on(backend, problem)
    state = minimise(function, start, backend=backend, settings=TIGHT)
    options = {"maxiter": 15_000, "maxfun": 15_000, "ftol": 1e-15, "gtol": 1e-9}
    theirs = minimize(problem, problem.start, jac=True, method="L-BFGS-B", options=options)
    near = 1e-6 * max(1.0, abs(state.value))
    assert min(abs(state.value - known) for known in problem.minima) <= near
    assert state.value <= theirs.fun + near
    # On Jennrich and Sampson's function scipy stops at 214.3, with a gradient of 3715.
    if np.max(np.abs(theirs.jac)) <= 1e-3 * max(1.0, theirs.fun):
        assert abs(state.value - theirs.fun) <= near
    else:
        assert name == "jennrich_sampson"
    assert state.value == problem(backend.to_host(state.point))[0]
    assert state.evaluations == len(calls)


def test_it_costs_no_more_evaluations_than_scipy():
    """Calls until the value is within 1e-6 of the minimum that both find, over all problems."""
    from scipy.optimize import minimize

    def needed(way, problem):
        values = []

        def watched(x):
            value, gradient = problem(x)
            values.append(value)
            return value, gradient

        way(watched)
        known = min(problem.minima, key=lambda m: abs(min(values) - m))
        near = [value <= known + 1e-6 * max(1.0, known) for value in values]
        return near.index(True) + 1 if any(near) else None

    backend, costs = get_backend("numpy", dtype="float64"), []
    for problem in PROBLEMS.values():
        start = np.asarray(problem.start, dtype=np.float64)
        ours = needed(lambda f, s=start: minimise(f, s, backend=backend, settings=TIGHT), problem)
        options = {"maxiter": 15_000, "maxfun": 15_000, "ftol": 1e-15, "gtol": 1e-9}
        theirs = needed(
            lambda f, s=start, o=options: minimize(f, s, jac=True, method="L-BFGS-B", options=o), problem
        )
        assert ours is not None
        if theirs is not None:
            costs.append((ours, theirs))
    assert len(costs) >= 25
    ours, theirs = np.sum(costs, axis=0)
    assert ours <= 1.1 * theirs, costs


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend_id", ["numba", "torch", "strict:device1", "cupy", "torch:cuda"])
def test_every_backend_takes_the_same_way(make_backend, backend_id, dtype):
    problem = PROBLEMS["extended_rosenbrock"]
    values = []
    for b in (make_backend(backend_id, dtype), make_backend("numpy", dtype)):
        function, start, _ = on(b, problem)
        state = minimise(function, start, backend=b, settings=LBFGS(max_iterations=8))
        values.append(b.to_host(state.point))
    assert_close(*values, bound=1e-4 if dtype == "float32" else 1e-10)


@pytest.mark.parametrize("memory", [1, 3, 50])
def test_memory(memory):
    backend = get_backend("numpy", dtype="float64")
    function, start, _ = on(backend, PROBLEMS["extended_rosenbrock"])
    settings = LBFGS(memory=memory, max_iterations=1000, gradient_tolerance=1e-8, decrease_tolerance=0.0)
    state = minimise(function, start, backend=backend, settings=settings)
    assert state.reason is Reason.GRADIENT
    assert state.value < 1e-12
    assert len(state.pairs) == min(memory, state.iterations)


def test_the_direction_is_that_of_bfgs():
    """With all pairs, -H g for the H of the BFGS formula (Nocedal and Wright 2006, equation 6.17)."""
    rng = np.random.default_rng(8)
    A = rng.normal(size=(6, 6))
    A = A @ A.T + np.eye(6)
    pairs = [make_pair(np, s, A @ s, 1e-16) for s in rng.normal(size=(4, 6))]
    last = pairs[-1]
    H = np.eye(6) * (last.s @ last.y) / (last.y @ last.y)
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


# --------------------------------------------------------------------------- why it stops


def run(problem, dtype="float64", **settings):
    backend = get_backend("numpy", dtype=dtype)
    function, start, calls = on(backend, PROBLEMS[problem])
    state = minimise(function, start, backend=backend, settings=LBFGS(**settings))
    return state, calls


def test_reasons():
    state, _ = run("beale", gradient_tolerance=1e-3, decrease_tolerance=0.0)
    assert state.reason is Reason.GRADIENT
    assert state.reason.converged
    assert state.history["gradient_norm"][-1] <= 1e-3 < state.history["gradient_norm"][-2]
    state, _ = run("brown_dennis", gradient_tolerance=0.0, decrease_tolerance=1e-6)
    assert state.reason is Reason.DECREASE
    before, after = state.history["loss"][-2:]
    assert 0 <= before - after <= 1e-6 * before
    state, _ = run("wood", max_iterations=3)
    assert (state.reason, state.iterations) == (Reason.ITERATIONS, 3)
    assert not state.reason.converged
    for most in range(1, 30):
        state, calls = run("wood", max_evaluations=most)
        assert (state.reason, len(calls), state.evaluations) == (Reason.EVALUATIONS, most, most)


def test_history_has_an_entry_an_iteration_and_never_rises():
    state, calls = run("wood", max_iterations=40)
    history = state.history
    assert {len(numbers) for numbers in history.values()} == {41}
    assert history["loss"][0] == PROBLEMS["wood"](np.asarray(PROBLEMS["wood"].start))[0]
    assert np.all(np.diff(history["loss"]) < 0)
    assert np.all(np.diff(history["evaluations"]) >= 1)
    assert history["evaluations"][0] == 1
    assert history["evaluations"][-1] == len(calls)


def test_what_is_not_finite_is_not_taken():
    backend = get_backend("numpy", dtype="float64")

    def wall(x):  # -log(1 - x) - log(x), infinite outside (0, 1)
        if not 0 < x[0] < 1:
            return float("nan"), np.full(1, np.nan)
        return float(-np.log(1 - x[0]) - np.log(x[0])), 1 / (1 - x) - 1 / x

    state = minimise(wall, np.asarray([1e-3]), backend=backend)
    assert state.reason is Reason.GRADIENT
    assert state.point[0] == pytest.approx(0.5, abs=1e-6)
    assert minimise(wall, np.asarray([2.0]), backend=backend).reason is Reason.NON_FINITE


def test_a_gradient_that_lies_ends_in_a_failed_search():
    backend = get_backend("numpy", dtype="float64")
    state = minimise(lambda x: (float(x @ x), -2 * x), np.ones(3), backend=backend)
    assert state.reason is Reason.LINE_SEARCH
    assert same_bits(state.point, np.ones(3))
    assert state.evaluations == 26


def test_the_start_stays_and_the_gradient_buffer_may_be_reused():
    backend = get_backend("numpy", dtype="float64")
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
        ({"max_iterations": 0}, "max_iterations is 0"),
        ({"max_evaluations": 1.5}, "max_evaluations is 1.5"),
        ({"line_search_evaluations": 0}, "line_search_evaluations is 0"),
        ({"gradient_tolerance": -1.0}, "gradient_tolerance is -1.0"),
        ({"decrease_tolerance": float("nan")}, "decrease_tolerance is nan"),
        ({"curvature": 1.0}, "curvature is 1.0"),
        ({"curvature": 1e-5}, "sufficient_decrease is 0.0001, expected .* below the curvature"),
        ({"sufficient_decrease": 0.0}, "sufficient_decrease is 0.0, expected a number above 0"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        LBFGS(**settings)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ([1.0, 2.0], "start is a builtins.list, expected an array of the backend 'numpy'"),
        (np.ones((2, 2)), r"start has shape \(2, 2\), expected one axis"),
        (np.ones(0), r"start has shape \(0,\)"),
        (np.ones(2, dtype=np.float32), "start has dtype float32, expected float64"),
    ],
)
def test_starts_that_do_not_fit(start, message):
    with pytest.raises(InputError, match=message):
        minimise(lambda x: (0.0, x), start, backend=get_backend("numpy", dtype="float64"))


# --------------------------------------------------------------------------- stopping and resuming


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend_id", ["numpy", "torch", "strict:device1"])
@pytest.mark.parametrize("name", ["wood", "extended_rosenbrock", "watson_9"])
def test_resuming_from_a_file_gives_the_same_bits(make_backend, tmp_path, name, backend_id, dtype):
    backend = make_backend(backend_id, dtype)
    function, start, _ = on(backend, PROBLEMS[name])
    options = {"backend": backend, "settings": LBFGS(max_iterations=24, gradient_tolerance=0.0)}
    whole = []
    one = minimise(function, start, watch=lambda s: whole.append(backend.to_host(s.point).copy()), **options)
    pieces = []
    for stop in (1, 2, 5, 16):
        options["settings"] = LBFGS(max_iterations=stop, gradient_tolerance=0.0)
        state = minimise(
            function, start, watch=lambda s: pieces.append(backend.to_host(s.point).copy()), **options
        )
        save_state(state, tmp_path / "state.safetensors", backend)
        start = load_state(tmp_path / "state.safetensors", backend)
        assert start.reason is state.reason
        assert same_bits(backend.to_host(start.point), backend.to_host(state.point))
    assert len(pieces) > 8  # so that the memory of 10 pairs filled while it ran
    assert len(pieces) == len(whole)
    assert all(same_bits(a, b) for a, b in zip(pieces, whole, strict=True))
    assert start.history == one.history
    assert (start.value, start.iterations, start.evaluations) == (one.value, one.iterations, one.evaluations)


@pytest.mark.parametrize("name", ["wood", "jennrich_sampson", "watson_6"])
def test_a_search_cut_short_is_begun_again(name):
    """Any limit of evaluations leaves an iterate of the whole run, from which it goes on the same way.

    Few trials a search and a strict curvature: some searches fail and the memory is cleared.
    """
    backend = get_backend("numpy", dtype="float64")
    options = {"line_search_evaluations": 3, "curvature": 0.3, "gradient_tolerance": 1e-8}
    function, start, _ = on(backend, PROBLEMS[name])
    forgotten = []

    def watch(state):
        forgotten.append(len(state.pairs) < min(state.iterations, 5))

    settings = LBFGS(memory=5, max_iterations=25, **options)
    whole = minimise(function, start, backend=backend, settings=settings, watch=watch)
    assert any(forgotten) == (name == "jennrich_sampson")
    for most in range(1, whole.evaluations):
        cut = minimise(
            function, start, backend=backend, settings=LBFGS(memory=5, max_evaluations=most, **options)
        )
        assert (cut.reason, cut.evaluations) == (Reason.EVALUATIONS, most)
        assert cut.history["loss"] == whole.history["loss"][: cut.iterations + 1]
        settings = LBFGS(memory=5, max_iterations=25 - cut.iterations, **options)
        state = minimise(function, cut, backend=backend, settings=settings)
        assert same_bits(state.point, whole.point)
        assert state.history["loss"] == whole.history["loss"]
        assert state.evaluations >= whole.evaluations


def test_steps_that_mislead_are_forgotten():
    """A pair of another function says to go 1e9 times too far: then the steepest descent is tried."""
    backend, way = get_backend("numpy", dtype="float64"), []

    def bowl(x):
        way.append(x.copy())
        return float(50 * x @ x), 100 * x

    settings = LBFGS(line_search_evaluations=2, max_iterations=1)
    points, pairs = [], []
    for limits in ((4,), (3, 4), (2, 4), (1, 4)):
        state = minimise(bowl, np.full(2, 0.1), backend=backend, settings=LBFGS(max_evaluations=1))
        s, y = np.full(2, 1.0), np.full(2, 1e-9)
        state.pairs = [Pair(s, y, 1.0 / float(s @ y))]
        way.clear()
        for most in limits:
            assert len(state.pairs) == 1  # a search that was cut short has forgotten nothing
            minimise(bowl, state, backend=backend, settings=replace(settings, max_evaluations=most))
        points.append(state.point)
        pairs.append(state.pairs)
        assert len(way) == sum(limits)
        assert np.linalg.norm(way[-4]) > 1e9
        assert np.linalg.norm(way[-1]) < 1e-12
    assert all(same_bits(point, points[0]) for point in points)
    assert all(len(held) == 1 and held[0].s is not s for held in pairs)


def test_another_backend_reads_the_state(make_backend, tmp_path):
    state, _ = run("wood", max_iterations=5)
    save_state(state, tmp_path / "state.safetensors", get_backend("numpy", dtype="float64"))
    torch = make_backend("torch", "float64")
    there = load_state(tmp_path / "state.safetensors", torch)
    assert same_bits(torch.to_host(there.point), state.point)
    function, _, _ = on(torch, PROBLEMS["wood"])
    final = minimise(function, there, backend=torch, settings=TIGHT)
    assert final.value < 1e-12


def test_broken_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    backend, path = get_backend("numpy", dtype="float64"), tmp_path / "state.safetensors"
    state, _ = run("wood", max_iterations=5)
    save_state(state, path, backend)
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="truncated"):
            load_state(path, backend)
    path.write_bytes(whole)
    about, arrays = tensor_files.read(path, FORMAT, VERSION, "state", CheckpointError)
    for changes, word in (
        ({"dtype": "float32"}, "dtype 'float32', expected float64"),
        ({"rho": "none"}, "fit together"),
        ({"rho": about["rho"][:-1]}, "vectors are named"),
        ({"value": "low"}, "fit together"),
        ({"iterations": 6}, "history"),
        ({"reason": "bored"}, "bored"),
    ):
        tensor_files.write(path, FORMAT, VERSION, {**about, **changes}, arrays)
        with pytest.raises(CheckpointError, match=word):
            load_state(path, backend)
    tensor_files.write(path, FORMAT, VERSION + 1, about, arrays)
    with pytest.raises(CheckpointError, match=f"version {VERSION + 1}"):
        load_state(path, backend)
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match="altered"):
        load_state(path, backend)
    save_file({"point": np.zeros(4)}, path)
    with pytest.raises(CheckpointError, match="another program"):
        load_state(path, backend)
    with pytest.raises(CheckpointError, match="not a file"):
        load_state(tmp_path, backend)
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_state(state, tmp_path / "nowhere" / "state.safetensors", backend)
