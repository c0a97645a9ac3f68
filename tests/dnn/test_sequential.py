"""Sequential: fit, evaluate and predict, on every backend."""

import numpy as np
import pytest
from helpers import (
    assert_close,
    build_network,
    fit_small,
    input_error,
    same_bits,
    small_data,
    small_model,
    weights,
)

from dnn import SGD, Conv2D, Dense, Flatten, Rescaling

EPS = float(np.finfo(np.float32).eps)


def fit_model(backend, seed):
    """Return a small model after three epochs, and its losses."""
    model = small_model(backend, seed)
    model.compile(optimizer="adam")
    history = model.fit(*small_data(), epochs=3, batch_size=8)
    return model, history.history["loss"]


# --------------------------------------------------------------------------- reproducible


def test_seeds(backend):
    (a, losses), (b, again), (c, _) = (fit_model(backend, seed) for seed in (7, 7, 8))
    assert same_bits(weights(a), weights(b))
    assert losses == again
    assert not same_bits(weights(a), weights(c))


# --------------------------------------------------------------------------- batches


@pytest.mark.parametrize("batch_size", [1, 7, 49, 50])
def test_an_epoch_matches_plain_sgd(backend, batch_size):
    """Against the textbook in float64: shorter last batch, batch of one, whole data as one batch."""
    x, y = small_data()
    model = build_network([Dense(3, "softmax")], backend=backend)
    W, b = (v.astype(np.float64) for v in model.parameters.to_host().values())
    model.compile(optimizer=SGD(0.05))
    history = model.fit(x, y, batch_size=batch_size, shuffle=False).history
    total, right = 0.0, 0
    for start in range(0, 50, batch_size):
        xb, yb = x[start : start + batch_size].astype(np.float64), y[start : start + batch_size]
        z = xb @ W + b
        p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
        total -= np.log(p[np.arange(len(yb)), yb]).sum()
        right += int((z.argmax(1) == yb).sum())
        assert np.min(np.diff(np.sort(z)[:, -2:])) > 1e-4  # no ties that depend on rounding
        dz = (p - np.eye(3)[yb]) / len(yb)
        W, b = W - 0.05 * xb.T @ dz, b - 0.05 * dz.sum(0)
    expected = np.concatenate([W.ravel(), b]).astype(np.float32)
    assert_close(weights(model), expected, 100 * EPS)  # 50 updates add their roundings
    assert history["loss"] == [pytest.approx(total / 50, rel=100 * EPS)]
    assert history["accuracy"] == [right / 50]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0, expected an integer of at least 1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"validation_data": np.zeros((2, 3))}, "validation_data is a ndarray, expected a tuple or list of"),
        ({"validation_data": (np.zeros((2, 5)), np.zeros(2))}, r"validation_data\[0\] has shape"),
        (
            {"validation_data": (np.zeros((2, 6), "f4"), np.zeros(3, int))},
            r"validation_data\[1\] has shape \(3,\), expected \(2,\)",
        ),
    ],
)
def test_fit_rejects_invalid_arguments_without_changes(options, message):
    model = small_model()
    before = weights(model)
    with input_error(message):
        fit_small(model, **options)
    assert same_bits(weights(model), before)
    assert model.epochs_done == 0


# --------------------------------------------------------------------------- data


def test_fewer_examples_than_a_batch_are_one_batch(backend):
    x, y = small_data(20)
    one, other = (small_model(backend) for _ in range(2))
    history = one.fit(x, y, batch_size=64, epochs=2).history
    assert history["loss"] == other.fit(x, y, batch_size=20, epochs=2).history["loss"]
    assert same_bits(weights(one), weights(other))
    assert int(one.optimizer_state.control[3]) == 2


def test_default_batches_have_100_shuffled_examples():
    found = []
    for options in ({}, {"batch_size": 100, "epochs": 1, "shuffle": True}, {"shuffle": False}):
        model = small_model()
        model.fit(*small_data(250), **options)
        found.append(weights(model))
    assert same_bits(found[0], found[1])
    assert not same_bits(found[0], found[2])


# --------------------------------------------------------------------------- evaluate and predict


def test_predict_works_without_compile_but_evaluate_does_not():
    model = small_model(compiled=False)
    x, y = small_data()
    assert model.predict(x).dtype == np.float32
    for call in (model.fit, model.evaluate):
        with input_error(r"no loss yet, expected a call of model\.compile"):
            call(x, y)


def test_forward_reserves_its_buffers():
    model = small_model()
    x, _ = small_data()
    outputs = model.forward(model.backend.from_host(x[:5]), training=False)
    np.testing.assert_array_equal(outputs, model.predict(x[:5]))


# --------------------------------------------------------------------------- losses and outputs


def test_linear_output_means_logits(backend):
    """With cross-entropy, a linear last layer trains the same weights as softmax."""
    x, y = small_data()
    models = [small_model(backend, output=output) for output in ("softmax", "linear")]
    for model in models:
        model.fit(x, y, batch_size=8)
    assert same_bits(*(weights(model) for model in models))
    logits = models[1].predict(x)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert_close(models[0].predict(x), p, 16 * EPS)


def test_targets_of_another_size_are_announced(caplog):
    x, _ = small_data()
    for factor in (1.0, 5e4):
        assert not caplog.records
        model = build_network([Dense(1)])
        model.compile("mean_squared_error")
        for _ in range(2):
            model.fit(x, x[:, 0] * factor)
    assert len(caplog.records) == 1
    assert "train on (y - y.mean()) / y.std()" in caplog.text


@pytest.mark.parametrize(
    ("shape", "is_announced"),
    [
        ((3, 8, 9), True), ((1, 8, 8), True), ((3, 7, 9), False), ((1, 8, 9), False), ((2, 8, 8), False),
        ((8, 8, 3), False), ((28, 28, 1), False),
    ],
)  # fmt: skip
def test_images_with_channels_first_are_announced(shape, is_announced, caplog):
    flat, image = (
        build_network([*layers, Flatten(), Dense(2, "softmax")], shape)
        for layers in ([], [Rescaling(0.5), Conv2D(2, 3, padding="same")])
    )
    flat.compile()
    assert not caplog.messages
    image.compile()
    assert len(caplog.messages) == is_announced
