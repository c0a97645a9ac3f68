"""Rescaling: folded into batch loading as the first layer, a normal layer elsewhere."""

import numpy as np
import pytest
from helpers import assert_close, build_network, input_error, same_bits, weights

from dnn import SGD, Dense, Rescaling

EPS = float(np.finfo(np.float32).eps)
SCALE = np.float32(1 / 255)


def pixels():
    rng = np.random.default_rng(2)
    return rng.integers(0, 256, (41, 6)).astype(np.uint8), rng.integers(0, 3, 41)


def model_on(backend, *before, seed=0):
    layers = [*before, Dense(4, "tanh"), Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=seed)
    model.compile(optimizer=SGD(0.1))
    return model


def test_training_on_pixels_divided_by_255(backend):
    x, y = pixels()
    scaled, plain = model_on(backend, Rescaling(1 / 255)), model_on(backend)
    assert same_bits(weights(scaled), weights(plain))  # the layer has no random stream
    losses = [
        scaled.fit(x, y, batch_size=8, epochs=3).history["loss"],
        plain.fit(x.astype("f4") * SCALE, y, batch_size=8, epochs=3).history["loss"],
    ]
    assert losses[0] == pytest.approx(losses[1], rel=64 * EPS)
    assert_close(weights(scaled), weights(plain), 64 * EPS)
    assert_close(scaled.predict(x), plain.predict(x.astype("f4") * SCALE), 64 * EPS)
    for other_form in (x.astype("f4"), x.tolist()):
        assert_close(scaled.predict(other_form), scaled.predict(x), 16 * EPS)
        assert scaled.evaluate(other_form, y) == pytest.approx(scaled.evaluate(x, y), rel=16 * EPS)


def test_images_stay_bytes_on_the_device(backend):
    x, y = pixels()
    model = model_on(backend, Rescaling(1 / 255))
    checked = model.input_pipeline.check(x, y).x
    assert backend.to_host(checked).dtype == np.uint8
    assert model.scale == 1 / 255


def test_works_first_with_an_offset(backend):
    x, _ = pixels()
    model, plain = model_on(backend, Rescaling(2 / 255, -1.0)), model_on(backend)
    plain.parameters.load(model.parameters.to_host())
    assert_close(model.predict(x), plain.predict(x.astype("f4") * (2 * SCALE) - 1), 64 * EPS)


def test_works_as_the_only_layer(backend):
    model = build_network([Rescaling(2.0)], backend=backend)
    assert same_bits(model.predict(pixels()[0]), pixels()[0].astype("f4") * 2)


@pytest.mark.parametrize("wrong", ["x", float("inf")])
@pytest.mark.parametrize("name", ["scale", "offset"])
def test_rejects_invalid_arguments(name, wrong):
    with input_error(rf"{name} is .*expected a finite number$"):
        Rescaling(**{"scale": 1.0, name: wrong})
