"""Embedding: rows, gradients, and categories that are not rescaled."""

import numpy as np
import pytest
from helpers import NUMPY, build_network, input_error, same_bits, three_backends, weights

from dnn import SGD, Dense, Dropout, Embedding, Flatten, Parallel

WORDS, LONG = 300, 7  # more than fit into uint8, and more than the reference adds at a time


def build(backend, *between, seed=2):
    layers = [Embedding(WORDS, 5), *between, Flatten(), Dense(3, "softmax")]
    model = build_network(layers, (LONG,), backend, seed)
    model.compile(optimizer=SGD(0.5))
    return model


def sentences(high=WORDS):
    rng = np.random.default_rng(4)
    x = rng.integers(0, high, (40, LONG))
    return x, x[:, 0] % 3


def test_initial_values_are_within_0_05():
    W = build(NUMPY).parameters.to_host()["embedding_1.W"]
    assert -0.05 < W.min() < -0.0495
    assert 0.0495 < W.max() < 0.05
    assert abs(W.mean()) < 0.003  # its standard error is 0.0007
    assert Embedding(2**24, 3).n_categories == 2**24  # the maximum


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "int32", "uint16", "int64", "float32", "float64", "bool"]
)
@three_backends
def test_categories_are_not_rescaled_in_any_dtype(make_backend, backend_id, dtype):
    x, y = sentences(high=2 if dtype == "bool" else 200)
    model, usual = (build(make_backend(backend_id)) for _ in range(2))
    model.fit(x.astype(dtype), y, batch_size=8)
    usual.fit(x, y, batch_size=8)
    assert same_bits(weights(model), weights(usual))
    assert same_bits(model.predict(x.astype(dtype)), usual.predict(x))
    assert same_bits(model.predict(x.tolist()), usual.predict(x))


@pytest.mark.parametrize("bad", [WORDS, -1, 0.5])
def test_rejects_numbers_that_are_no_categories(bad):
    x, y = sentences()
    x = x.astype(np.float64)
    x[3, 2] = bad
    model = build(NUMPY)
    for call in (lambda: model.fit(x, y), lambda: model.predict(x), lambda: model.evaluate(x, y)):
        with input_error(r"x holds .*expected integers from 0 to 299"):
            call()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Embedding(0, 3), "input_dim is 0"),
        (lambda: Embedding(3, 0), "output_dim is 0"),
        (lambda: Embedding(2**24 + 1, 3), "input_dim is 16777217, expected at most 16777216"),
        (
            lambda: [Dropout(0.1), Embedding(3, 3)],
            "is in the wrong place, expected .* Embedding as the first layer",
        ),
        (
            lambda: [Parallel([Embedding(3, 3), Embedding(3, 2)])],
            "'embedding_1' .* is in the wrong place, expected it directly in the model",
        ),
    ],
)
def test_rejects_invalid_arguments(make, message):
    with input_error(message):
        build_network([*make(), Flatten(), Dense(2)], (4,))
