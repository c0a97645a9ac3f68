"""The activation of the last layer: applied by the network, unless the loss contains it."""

import numpy as np
import pytest
from helpers import NUMPY64, build_network, input_error, small_data

from dnn import SGD, Activation, Block, Dense, Layer
from dnn.training.step import gradients

ROWS = np.eye(3)[small_data()[1]]


class Twice(Dense):
    """2 f(z); counts its calls."""

    calls = 0

    def forward(self, x, *, training=False):
        type(self).calls += 1
        return 2.0 * super().forward(x, training=training)

    def backward(self, dy):
        return super().backward(2.0 * dy)


class Probabilities(Layer):
    activation = "softmax"

    def forward(self, x, *, training=False):
        e = np.exp(x)
        return e / np.sum(e, axis=1, keepdims=True)

    def backward(self, dy):
        return dy


def network(*layers):
    return build_network([Dense(5, "tanh"), *layers], backend=NUMPY64)


def test_a_last_layer_with_its_own_forward_is_called():
    x, y = small_data()
    model = network(Twice(3), Activation("softmax"))
    model.compile(optimizer=SGD(0.1))
    for call in (lambda: model.fit(x, y, batch_size=len(x)), lambda: model.evaluate(x, y)):
        before = Twice.calls
        call()
        assert Twice.calls == before + 1
    p = model.predict(x)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.evaluate(x, y).loss, -np.mean(np.log(p[np.arange(len(y)), y])))


def test_its_activation_stays_if_the_loss_does_not_contain_it():
    x, _ = small_data()
    model = network(Twice(3, "softmax"))
    model.compile("mse")
    np.testing.assert_allclose(model.predict(x).sum(axis=1), 2.0)


@pytest.mark.parametrize(
    "make", [lambda: Twice(3, "softmax"), Probabilities, lambda: Block([Dense(3), Probabilities()])]
)
def test_a_last_layer_that_applies_what_the_loss_contains_is_refused(make):
    model = network(*([] if isinstance(make(), Dense) else [Dense(3)]), make())
    model.compile("mse")
    with input_error(
        r"applies softmax itself, expected .* logits, followed by Activation\('softmax'\); the loss"
    ):
        model.compile()
    assert model.loss.name == "mean_squared_error"


@pytest.mark.parametrize("activation", ["softmax", "gelu"])
def test_gradients_by_central_differences_if_the_network_applies_it(activation):
    """Also after a compilation with a loss that contains it."""
    x, y = small_data()
    model = network(Block([Dense(4, "relu"), Dense(3, activation)]))
    if activation == "softmax":
        model.compile()
        model.fit(x, y, batch_size=len(x))
    model.compile("mse")
    model.reserve(len(x), training=True)
    x = x.astype(np.float64)
    gradients(model, x, ROWS)
    values = model.parameters.vector
    found = model.parameters.gradient_vector.copy()
    step = 1e-6 * np.random.default_rng(0).normal(size=found.shape)
    losses = []
    for sign in (1.0, -1.0):
        values += sign * step
        losses.append(np.mean(model.loss_of(x, ROWS, training=True)[1]))
        values -= sign * step
    assert (losses[0] - losses[1]) / 2 == pytest.approx(found @ step, rel=1e-6)
