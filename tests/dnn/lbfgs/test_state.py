"""L-BFGS resumes with the same bits: states, files of states, and broken files."""

from functools import partial

import numpy as np
import pytest
from helpers import NUMPY64, both_dtypes, same_bits
from lbfgs_problems import PROBLEMS
from lbfgs_runs import on, run

from dnn.io import safetensors as tensor_files
from dnn.io.safetensors import CheckpointError
from dnn.lbfgs import LBFGS, Reason, load_state, minimise, minimiser, save_state
from dnn.lbfgs.line_search import LineSearch
from dnn.lbfgs.state import FORMAT, VERSION


@both_dtypes
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
def test_an_interrupted_search_is_repeated(name, monkeypatch):
    """With any limit of evaluations a run ends at an iterate of the full run, and continues equally.

    Few trials per search and a strict curvature make some searches fail, which clears the memory.
    """
    backend = NUMPY64
    monkeypatch.setattr(minimiser, "MAX_TRIALS", 3)
    monkeypatch.setattr(minimiser, "LineSearch", partial(LineSearch, c2=0.3))
    options = {"gradient_tolerance": 1e-8}
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


@pytest.fixture
def saved(tmp_path):
    """Return a state, the path of its file, and the facts and arrays in it."""
    path = tmp_path / "state.safetensors"
    state, _ = run("wood", max_iterations=5)
    save_state(state, path, NUMPY64)
    return state, path, *tensor_files.read(path, FORMAT, VERSION, "state", CheckpointError)


def assert_rejected(saved, words, arrays=None, **changes):
    """Files with a correct checksum; tests/dnn/io/test_hostile_files.py breaks the file itself."""
    _, path, about, kept = saved
    tensor_files.write(path, FORMAT, VERSION, {**about, **changes}, kept if arrays is None else arrays)
    with pytest.raises(CheckpointError, match=words):
        load_state(path, NUMPY64)


def replace_number(vector, number):
    """Return the vector with another number at place 1."""
    return np.where(np.arange(len(vector)) == 1, number, vector)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"dtype": "float32"}, "dtype 'float32', expected float64"),
        ({"reason": "bored"}, "bored"),
        ({"evaluations": True}, "do not fit together"),
        ({"evaluations": 3.0}, "do not fit together"),
        ({"history": {"evaluations": [1], "loss": ["low"], "gradient_norm": [1.0]}}, "do not fit together"),
        ({"history": {"evaluations": [1], "loss": [2.0, 1.0], "gradient_norm": [1.0]}}, "do not fit"),
        ({"history": {"evaluations": [1], "loss": [1.0], "gradient_norm": [1.0]}}, "do not fit together"),
        ({"history": {"evaluations": [], "loss": [], "gradient_norm": []}}, "do not fit together"),
    ],
)
def test_rejects_inconsistent_facts(saved, changes, word):
    assert_rejected(saved, word, **changes)


def test_rejects_impossible_histories(saved):
    """The lists have the right lengths, but no minimisation could have written the numbers."""
    past = saved[2]["history"]
    counts = past["evaluations"]
    histories = [
        {"evaluations": [0, *counts[1:]]},
        {"evaluations": counts[::-1]},
        {"evaluations": [float(n) for n in counts]},
        {"loss": [np.nan, *past["loss"][1:]]},
        {"loss": [*past["loss"][:-1], np.inf]},
        {name: values[-4:] for name, values in past.items()},
    ]
    forged = [{"history": {**past, **changes}} for changes in histories]
    forged += [{"evaluations": counts[-1] - 1}, {"evaluations": -1}]
    for changes in forged:
        assert_rejected(saved, "is inconsistent", **changes)


def test_rejects_inconsistent_vectors(saved):
    arrays = saved[3]
    forged = [{**arrays, n: replace_number(arrays[n], bad)} for n in arrays for bad in (np.nan, np.inf)]
    forged.append({**arrays, "gradient": arrays["gradient"] * 1.01})
    forged.append({**arrays, "s_0": -arrays["s_0"]})
    forged.append({name: array for name, array in arrays.items() if name != "y_0"})
    for changed in forged:
        assert_rejected(saved, "is inconsistent", changed)


def test_a_state_that_cannot_be_written(tmp_path, saved):
    with pytest.raises(CheckpointError, match="cannot be written"):
        save_state(saved[0], tmp_path / "nowhere" / "state.safetensors", NUMPY64)


def test_a_state_of_another_number_of_threads_warns(saved, caplog):
    _, path, about, arrays = saved
    load_state(path, NUMPY64)
    assert caplog.text == ""
    about["made_with"]["threads"] = 77
    tensor_files.write(path, FORMAT, VERSION, about, arrays)
    load_state(path, NUMPY64)
    said = caplog.text
    assert "made with threads 77, here it is threads" in said
    assert said.count("\n") == 1
