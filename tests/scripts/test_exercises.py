"""The solutions of the exercises in docs/guide/exercises.md, checked by numbers."""

import importlib
import re

import numpy as np
import pytest
from command_lines import SCRIPTS
from documents import text_of
from helpers import NUMPY, build_network
from lecture_experiments.experiments import LECTURE

from dnn import SGD, Activation, BatchNormalization, Dense
from dnn.datasets import load_dataset

DIGITS = load_dataset("digits")
X, T = DIGITS.x_train / 16.0, np.eye(10)[DIGITS.y_train]
STEP = 1e-6


@pytest.fixture
def from_scratch(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS / "examples")
    module = importlib.import_module("from_scratch")
    monkeypatch.setattr(module, "SHAPES", ((64, 30), (30, 20), (20, 10)))
    return module


def slope(function, array, index):
    """Return the central difference of a function with respect to a number of an array."""
    values = []
    for step in (STEP, -STEP):
        moved = array.copy()
        moved[index] += step
        values.append(function(moved))
    return (values[0] - values[1]) / (2 * STEP)


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def squared_error(xp, logits, t):
    """Return the mean of (p - t)^2 and dlogits = p (dp - sum of p dp) with dp = 2 (p - t) / (10 B)."""
    p = softmax(logits)
    dp = 2 * (p - t) / p.size
    return xp.mean((p - t) ** 2), p * (dp - xp.sum(p * dp, axis=1, keepdims=True))


def weights(module):
    return [p.astype(np.float64) for p in module.initialize(np.random.default_rng(0))]


def losses(module, params, epochs=3):
    order = np.random.default_rng(0).permutation
    return list(module.train(np, "sigmoid", params, X, T, epochs, order))


def test_exercise_1(from_scratch):
    """db is the sum of the rows of dz, because each image adds the same b."""
    params = weights(from_scratch)
    _, grads = from_scratch.gradients(np, "sigmoid", params, X[:50], T[:50])
    for i in (1, 3, 5):
        found = slope(
            lambda b, i=i: from_scratch.gradients(
                np, "sigmoid", [*params[:i], b, *params[i + 1 :]], X[:50], T[:50]
            )[0],
            params[i], 2,
        )  # fmt: skip
        assert grads[i][2] == pytest.approx(found, rel=1e-2)


@pytest.mark.parametrize("name", ["cross_entropy", "squared_error"])
def test_exercise_2(from_scratch, name):
    """The quotients of the softmax cancel those of the logarithm. Exercise 3's gradient is checked, too."""
    loss = getattr(from_scratch, name, squared_error)
    logits = np.random.default_rng(0).normal(size=(4, 10))
    _, dlogits = loss(np, logits, T[:4])
    assert dlogits[1, 3] == pytest.approx(slope(lambda z: loss(np, z, T[:4])[0], logits, (1, 3)), rel=1e-4)
    if name == "cross_entropy":
        np.testing.assert_allclose(dlogits, (softmax(logits) - T[:4]) / 4, atol=1e-12)


def test_exercise_3(from_scratch):
    """Certain of a wrong class, p is 0 or 1, so the squared error has no gradient; the cross-entropy has."""
    logits, t = 40.0 * np.eye(10)[[3]], np.eye(10)[[7]]
    assert np.abs(squared_error(np, logits, t)[1]).max() < 1e-15
    assert np.abs(from_scratch.cross_entropy(np, logits, t)[1]).max() == pytest.approx(1.0)


def test_exercise_4(from_scratch):
    """y (1 - y) is largest at y = 1/2. Ten factors of 1/4 leave less than a millionth."""
    y = np.linspace(0, 1, 1001)
    slopes = from_scratch.activation_slope(np, "sigmoid", y)
    assert (slopes.max(), y[slopes.argmax()]) == (0.25, 0.5)
    assert 0.25**10 < 1e-6 < 0.25**9


def test_exercise_5(from_scratch):
    """Ten equal probabilities give log 10; a last layer of zeros makes them equal."""
    params = weights(from_scratch)
    params[4][...] = 0
    loss, _ = from_scratch.gradients(np, "sigmoid", params, X, T)
    assert loss == pytest.approx(np.log(10))


def test_exercise_6():
    """6000, and 938: the last batch has 32 images."""
    assert LECTURE.updates(60_000) == 6000
    assert -(-60_000 // 64) == 938
    assert 60_000 % 64 == 32


def test_exercise_7(from_scratch):
    """With ReLU only the last bias has a gradient. Equal units get equal gradients, so they stay equal."""
    params = [np.zeros_like(p) for p in weights(from_scratch)]
    _, grads = from_scratch.gradients(np, "relu", params, X, T)
    assert [bool(grad.any()) for grad in grads] == [False] * 5 + [True]
    params = [np.full_like(p, 0.1) for p in params]
    losses(from_scratch, params)
    for W in params[0:4:2]:
        np.testing.assert_allclose(W, np.repeat(W[:, :1], W.shape[1], axis=1), rtol=1e-6)


def test_exercise_8():
    """By 1 - 2 rate l2: the gradient of l2 w^2 is 2 l2 w."""
    model = build_network([Dense(10, "softmax")], (64,), NUMPY)
    model.compile(optimizer=SGD(0.5), l2=0.1)
    W = np.array(model.parameters.by_name["dense_1.W"])
    model.fit(np.zeros((10, 64), np.float32), DIGITS.y_train[:10], batch_size=10, epochs=1)
    np.testing.assert_allclose(model.parameters.by_name["dense_1.W"], W * (1 - 2 * 0.5 * 0.1), rtol=1e-5)


def test_exercise_9(from_scratch, monkeypatch):
    """Momentum needs only m; the rate is larger than Adam's, because the gradients are small."""

    def momentum_update(xp, params, grads, m, v, step, rate):
        for i, grad in enumerate(grads):
            m[i] = 0.9 * m[i] + grad
            params[i] = params[i] - 100 * rate * m[i]

    monkeypatch.setattr(from_scratch, "adam_update", momentum_update)
    first, *_, last = losses(from_scratch, weights(from_scratch), 20)
    assert last < 0.5 < first


def test_exercise_10(from_scratch, monkeypatch):
    """The slope of y = tanh z is 1 - y^2."""
    monkeypatch.setattr(from_scratch, "activate", lambda xp, activation, z: xp.tanh(z))
    monkeypatch.setattr(from_scratch, "activation_slope", lambda xp, activation, y: 1 - y * y)
    params = weights(from_scratch)
    _, (grad, *_) = from_scratch.gradients(np, "tanh", params, X[:50], T[:50])

    def loss(W):
        return from_scratch.gradients(np, "tanh", [W, *params[1:]], X[:50], T[:50])[0]

    assert grad[20, 4] == pytest.approx(slope(loss, params[0], (20, 4)), rel=1e-4)


def test_exercise_11(from_scratch, monkeypatch):
    """The loss starts near 0.09, the squared error of ten equal probabilities, and falls."""
    monkeypatch.setattr(from_scratch, "cross_entropy", squared_error)
    first, *_, last = losses(from_scratch, weights(from_scratch), 30)
    assert last < 0.06 < 0.08 < first


def test_exercise_12():
    """Batch normalisation before each sigmoid: no layer shrinks the gradient."""
    accuracies = []
    for layers in (
        [Dense(50, "sigmoid") for _ in range(10)],
        [layer for _ in range(10) for layer in (Dense(50), BatchNormalization(), Activation("sigmoid"))],
    ):
        model = build_network([*layers, Dense(10, "softmax")], (64,), NUMPY)
        model.compile(optimizer="adam")
        model.fit(DIGITS.x_train / np.float32(255), DIGITS.y_train, epochs=15)
        accuracies.append(model.evaluate(DIGITS.x_test / np.float32(255), DIGITS.y_test).accuracy)
    assert accuracies[0] < 0.2
    assert accuracies[1] > 0.8


def test_all_of_them_have_a_solution():
    for page in ("docs/guide/exercises.md", "docs/guide/exercises.zh.md"):
        numbers = re.findall(r"^(\d+)\. ", text_of(page), re.MULTILINE)
        assert [f"test_exercise_{n}" for n in numbers] == [
            name for name in globals() if "_exercise_" in name[4:]
        ]
