"""sample_weight and class_weight: effects on training and evaluation, and errors."""

import numpy as np
import pytest
from helpers import assert_close, fit_small, input_error, same_bits, small_data, small_model, weights

from dnn import SGD, CategoricalCrossentropy
from dnn.inputs.examples import InputPipeline

EPS = float(np.finfo(np.float32).eps)


def fit_model(backend, x, y, **options):
    model = small_model(backend)
    model.compile(optimizer=SGD(0.1))
    history = model.fit(x, y, **{"batch_size": 25, "shuffle": False, **options}).history
    return model, history


@pytest.mark.parametrize("rows", [False, True])
def test_balanced_matches_scikit_learn(backend, rows):
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    x, y = small_data()
    kept = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 2)[:5]])  # 1 does not occur
    x = x[kept]
    y = y[kept]
    counted = sklearn.compute_class_weight("balanced", classes=np.array([0, 2]), y=y)
    targets = np.eye(3, dtype="f4")[y] if rows else y
    one, losses = fit_model(backend, x, targets, class_weight="balanced")
    two, again = fit_model(backend, x, targets, class_weight={0: counted[0], 2: counted[1]})
    assert counted[1] > 1.0 > counted[0]
    assert same_bits(weights(one), weights(two))
    assert losses["loss"] == again["loss"]


def test_sample_and_class_weights_are_multiplied(backend):
    _, y = small_data()
    sample = np.linspace(0, 2, 50)
    per_class = {0: 0.5, 2: 3.0}
    product = (sample * np.asarray([0.5, 1.0, 3.0])[y]).astype("f4")
    inputs = InputPipeline(backend, (4,), 3, CategoricalCrossentropy())
    for targets in (y, np.eye(3, dtype="f4")[y]):
        checked = backend.from_host(targets)
        found = inputs._weights(checked, sample.tolist(), per_class)
        assert_close(backend.to_host(found), product, EPS)
    column = backend.from_host(np.asarray([[0.0], [0.5], [1.0]], dtype="f4"))
    found = inputs._replace(n_outputs=1)._weights(column, None, {1: np.float32(4.0)})
    assert backend.to_host(found).tolist() == [1.0, 1.0, 4.0]
    assert inputs._weights(checked, None) is None


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_evaluate_is_the_weighted_mean(backend, batch_size):
    x, y = small_data()
    model = small_model(backend)
    weight = np.linspace(0, 2, 50)
    p = model.predict(x).astype("f8")
    expected = np.average(-np.log(p[np.arange(50), y]), weights=weight)
    found = model.evaluate(x, y, batch_size=batch_size, sample_weight=weight)
    assert found.loss == pytest.approx(expected, rel=64 * EPS)
    assert found.accuracy == model.evaluate(x, y).accuracy
    history = model.fit(x, y, batch_size=50, validation_data=(x, y, weight)).history
    assert history["val_loss"] == [model.evaluate(x, y, sample_weight=weight).loss]


REFUSED = {
    "shape": ({"sample_weight": np.ones(49)}, r"sample_weight has shape \(49,\), expected \(50,\)"),
    "negative": ({"sample_weight": -np.ones(50)}, "sample_weight holds negative numbers"),
    "nan": ({"sample_weight": np.full(50, np.nan)}, "sample_weight holds NaN"),
    "words": ({"sample_weight": ["a"] * 50}, "sample_weight has dtype <U1, expected numbers"),
    "zeros": ({"sample_weight": np.zeros(50)}, "weights are all 0"),
    "zeros but for the split": (
        {"sample_weight": np.arange(50) // 40, "validation_split": 0.2},
        "weights are all 0",
    ),
    "zeros in the split": (
        {"sample_weight": np.arange(50) < 40, "validation_split": 0.2},
        "weights are all 0",
    ),
    "class below 0": ({"class_weight": {-1: 1.0}}, "names class -1, expected classes 0 to 2"),
    "list": ({"class_weight": [1.0, 2.0]}, "class_weight is .*expected 'balanced' or a dict"),
    "word": ({"class_weight": "even"}, "class_weight is 'even', expected 'balanced' or a dict"),
    "unknown class": ({"class_weight": {3: 1.0}}, "names class 3, expected classes 0 to 2"),
    "text class": ({"class_weight": {"0": 1.0}}, "names class '0'"),
    "infinite class": ({"class_weight": {0: 1e308}}, "the sum of the weights is infinite in float32"),
    "infinite sum": ({"sample_weight": np.full(50, 1e38)}, "the sum of the weights is infinite in float32"),
    "negative class": ({"class_weight": {0: -1.0}}, r"class_weight\[0\] is -1.0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rejects_invalid_arguments(case):
    options, message = REFUSED[case]
    model = small_model()
    before = weights(model)
    with input_error(message):
        fit_small(model, **options)
    assert same_bits(weights(model), before)


def test_rejects_weights_on_another_device(make_backend):
    model = small_model(make_backend("torch"))
    foreign = make_backend("strict:device1").from_host(np.ones(50, dtype="f4"))
    with input_error(r"sample_weight is a .*from_host"):
        fit_small(model, sample_weight=foreign)
