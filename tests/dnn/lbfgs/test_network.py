"""L-BFGS on networks: chunks, backends, states, errors."""

from functools import partial

import numpy as np
import pytest
from helpers import (
    NUMPY,
    NUMPY64,
    assert_close,
    both_dtypes,
    build_network,
    input_error,
    same_bits,
    small_data,
    small_model,
    weights,
)

from dnn import BatchNormalization, Block, Dense, Dropout, Residual
from dnn.inputs.examples import Examples
from dnn.lbfgs import LBFGS, MeanLoss, State, fit_lbfgs, load_state, save_state
from dnn.lbfgs.line_search import LineSearch
from dnn.training.step import gradients

EPS = float(np.finfo(np.float32).eps)
WOOD = State(np.zeros(4), np.zeros(4))


@both_dtypes
@pytest.mark.parametrize("kind", ["integer", "dense"])
def test_chunks_do_not_change_the_mean_loss(make_backend, dtype, kind):
    backend = make_backend("numpy", dtype)
    x, y = small_data(300)
    rows = y if kind == "integer" else np.eye(3)[y]
    ours, exact = small_model(backend), small_model(NUMPY64)
    exact.parameters.load({n: v.astype(np.float64) for n, v in ours.parameters.to_host().items()})
    exact.reserve(300, training=True)
    losses = gradients(exact, x.astype(np.float64), rows)
    eps = float(np.finfo(dtype).eps)
    for chunk_size in (1, 7, 299, 300):
        targets = rows if kind == "integer" else rows.astype(dtype)
        examples = Examples(backend.from_host(x.astype(dtype)), backend.from_host(targets), None)
        loss = MeanLoss(ours, examples, chunk_size)
        value, gradient = loss(ours.parameters.vector.copy())
        assert value == pytest.approx(losses.mean(), rel=4 * eps)
        ours.parameters.gradient_vector[...] = gradient
        for name, desired in exact.parameters.gradient_by_name.items():
            actual = ours.parameters.gradient_by_name[name].astype(np.float64)
            assert_close(actual, desired, 8 * eps, f"{name}, chunks of {chunk_size}")


def test_many_chunks_add_up_without_loss():
    """The mean over equal examples is the loss of one; 3000 plain additions would lose three digits."""
    x, y = np.ones((3000, 6), np.float32), np.zeros(3000, np.int64)
    model, gradients = small_model(), []
    for n in (1, 3000):
        gradients.append(MeanLoss(model, Examples(x[:n], y[:n], None), 1)(model.parameters.vector.copy())[1])
    assert_close(gradients[1], gradients[0], EPS)


def test_memory_does_not_grow_with_the_examples(backend):
    model = small_model(backend)
    fit_lbfgs(model, *small_data(200), settings=LBFGS(max_iterations=2), chunk_size=30)
    assert set(model.layers[0]._buffers.views) == {30, 20}
    assert model.layers[0]._buffers._largest[True][0] == 30


@pytest.mark.parametrize("backend_id", ["numpy", "torch"])
def test_a_network_resumes_with_the_same_bits(make_backend, tmp_path, backend_id):
    backend, path = make_backend(backend_id), tmp_path / "state.safetensors"
    x, y = small_data(200)
    one = small_model(backend)
    whole = fit_lbfgs(one, x, y, settings=LBFGS(max_iterations=12), chunk_size=64)
    two = small_model(backend)
    save_state(fit_lbfgs(two, x, y, settings=LBFGS(max_iterations=5), chunk_size=64), path, backend)
    three = small_model(backend, seed=9)
    settings = LBFGS(max_iterations=7)
    state = fit_lbfgs(three, x, y, settings=settings, state=load_state(path, backend), chunk_size=64)
    assert state.iterations == whole.iterations == 12
    assert same_bits(weights(three), weights(one))
    assert not same_bits(weights(two), weights(one))
    assert state.history == whole.history


@pytest.mark.parametrize("backend_id", ["numpy", "torch"])
def test_rejects_states_of_other_examples_or_losses(make_backend, backend_id):
    backend = make_backend(backend_id)
    x, y = small_data(200)
    state = fit_lbfgs(small_model(backend), x, y, settings=LBFGS(max_iterations=5))
    priced = small_model(backend)
    priced.compile(l2=0.1)
    for model, examples in ((small_model(backend), 1 - x), (small_model(backend), x[:100]), (priced, x)):
        before = weights(model)
        with input_error(r"state has the loss .*, but x and y give"):
            fit_lbfgs(model, examples, y[: len(examples)], state=state)
        assert same_bits(weights(model), before)


def test_settings_are_checked_before_the_model_gets_a_state(backend):
    x, y = small_data(100)
    state = fit_lbfgs(small_model(backend), x, y, settings=LBFGS(max_iterations=2))
    model = small_model(backend, seed=9)
    before = weights(model)
    with input_error("settings is 3"):
        fit_lbfgs(model, x, y, state=state, settings=3)
    assert same_bits(weights(model), before)


def test_a_state_may_be_a_point(backend):
    x, y = small_data(100)
    one, two = small_model(backend), small_model(backend)
    start = State(backend.xp.asarray(two.parameters.vector, copy=True))
    assert fit_lbfgs(two, x, y, state=start).history == fit_lbfgs(one, x, y).history


def test_an_interrupt_leaves_the_last_iterate(backend, monkeypatch):
    x, y = small_data(100)
    model, kept = small_model(backend), []

    def stop_at_three(state):
        kept.append(backend.to_host(state.point).copy())
        if len(kept) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_lbfgs(model, x, y, watch=stop_at_three)
    assert same_bits(backend.to_host(model.parameters.vector), kept[-1])
    monkeypatch.setattr("dnn.lbfgs.minimiser.LineSearch", partial(LineSearch, c2=0.01))
    for most in range(2, 8):  # searches with several trials, which are interrupted
        state = fit_lbfgs(model, x, y, settings=LBFGS(max_evaluations=most))
        assert same_bits(backend.to_host(model.parameters.vector), backend.to_host(state.point))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros((50, 5), np.float32)}, r"x has shape \(50, 5\), expected \(N, 6\)"),
        ({"y": np.full(50, 3)}, "y holds class numbers from 3 to 3"),
        ({"chunk_size": 0}, "chunk_size is 0"),
        ({"state": WOOD}, "state has 4 numbers of float64, expected 112 numbers of float32"),
    ],
)
def test_fit_rejects_invalid_arguments_without_changes(change, message):
    model = small_model()
    before = weights(model)
    x, y = small_data()
    with input_error(message):
        fit_lbfgs(model, **{"x": x, "y": y, **change})
    assert same_bits(weights(model), before)
    with input_error("no loss yet"):
        fit_lbfgs(small_model(compiled=False), x, y)


def test_the_penalty_is_minimised_too():
    backend = NUMPY64
    x, y = small_data(60)

    def value(model, point):
        examples = Examples(backend.from_host(x.astype(np.float64)), backend.from_host(y), None)
        loss = MeanLoss(model, examples, 25)
        return loss(point)

    plain, priced = small_model(backend), small_model(backend)
    priced.compile(l2=0.01)
    point = plain.parameters.vector.copy()
    weights = [a for a in plain.parameters.to_host().values() if a.ndim == 2]
    (a, g), (b, h) = value(plain, point), value(priced, point)
    assert b - a == pytest.approx(0.01 * sum(np.sum(w * w) for w in weights), rel=1e-12)
    named = priced.parameters.views(h - g)
    for name, w in plain.parameters.by_name.items():
        np.testing.assert_allclose(named[name], 0.02 * w if w.ndim == 2 else 0 * w, atol=1e-12)


@pytest.mark.parametrize(
    "layer",
    [Dropout(0.5), BatchNormalization(), Residual([Dropout(0.5), Dense(4)]), Block([BatchNormalization()])],
)
def test_rejects_random_layers_and_batch_statistics(layer):
    model = build_network([layer, Dense(3, "softmax")], (4,), NUMPY)
    model.compile()
    with input_error(f"{type(layer).__name__}.*more than the weights"):
        fit_lbfgs(model, np.ones((5, 4), np.float32), np.zeros(5, np.int64))
