"""evaluate and predict return the same numbers for every batch size; those of evaluate have names."""

import numpy as np
import pytest
from helpers import NUMPY64, build_network, input_error

from dnn import Dense
from dnn.training.evaluation import Evaluation

N = 11
RNG = np.random.default_rng(3)
X = RNG.standard_normal((N, 4))
Y = np.arange(N) % 3
WEIGHTS = np.arange(N) % 4 / 2.0  # some are 0


@pytest.fixture(scope="module")
def model():
    network = build_network([Dense(5, "tanh"), Dense(3, "softmax")], (4,), backend=NUMPY64, seed=1)
    network.compile()
    return network


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("batch_size", [1, 2, 5, 10, N, N + 1])
def test_the_batch_size_changes_nothing(batch_size, weights, model):
    p = model.predict(X)
    np.testing.assert_allclose(model.predict(X, batch_size=batch_size), p, 1e-12)
    w = np.ones(N) if weights is None else weights
    loss = -np.log(p[np.arange(N), Y])
    right = p.argmax(axis=1) == Y
    found = model.evaluate(X, Y, batch_size=batch_size, sample_weight=weights)
    np.testing.assert_allclose(found, [(w * loss).sum() / w.sum(), right.mean()], 1e-12)
    cuts = range(batch_size, N, batch_size)
    parts = [np.split(a, cuts) for a in ((X, Y) if weights is None else (X, Y, w))]
    np.testing.assert_allclose(model.evaluate(zip(*parts, strict=True)), found, 1e-12)


def test_the_gradients_are_those_of_the_mean_loss(model):
    loss, found = model.gradients(X, Y)
    assert loss == pytest.approx(model.evaluate(X, Y)[0], rel=1e-12)
    single = [model.gradients(X[i : i + 1], Y[i : i + 1])[1] for i in range(N)]
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, np.mean([g[name] for g in single], axis=0), 1e-9, 1e-15)


def test_a_result_is_a_tuple_with_names():
    found = Evaluation([0.5, 0.75], ["loss", "accuracy"])
    assert found == (0.5, 0.75)
    assert found.as_dict() == {"loss": 0.5, "accuracy": 0.75}
    assert repr(found) == f"{found}" == "Evaluation(loss=0.5, accuracy=0.75)"
    with pytest.raises(AttributeError, match="auc was not measured, expected one of loss, accuracy"):
        _ = found.auc
    with input_error(r"Evaluation\(.*\) has no format '.3f'.* write .loss after"):
        format(found, ".3f")
    loss = Evaluation([0.25], ["loss"])
    assert (f"{loss:.3f}", f"{loss}") == ("0.250", "Evaluation(loss=0.25)")
