"""Dropout and GaussianNoise: random in training, equal on every backend, the identity in inference."""

import numpy as np
import pytest
from helpers import NUMPY, assert_close, both_dtypes, build_network, input_error, same_bits, small_data

from dnn import Dense, Dropout, GaussianNoise
from dnn.random import random_integers, stream_key

NOISES = [lambda: Dropout(0.3), lambda: GaussianNoise(0.5)]


def model_of(noise, backend, seed=0):
    layers = [Dense(9, "relu"), noise, Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=seed)
    model.compile()
    return model


def draws(backend, make, batch=4):
    """Return y in training for the first two batches of ones."""
    layer = make()
    layer.build((5, 3), backend, "noise", needs_dx=True, index=1)
    layer.reserve(batch, training=True)
    ones = backend.from_host(np.ones((batch, 5, 3), dtype=backend.dtype_name))
    return [backend.to_host(layer.forward(ones, training=True)).copy() for _ in range(2)]


@both_dtypes
@pytest.mark.parametrize("backend_id", ["numpy", "numba", "torch", "strict", "strict:device1", "cupy"])
def test_equal_on_every_backend(make_backend, backend_id, dtype):
    backend, numpy = make_backend(backend_id, dtype), make_backend("numpy", dtype, False)
    for found, want in zip(draws(backend, NOISES[0]), draws(numpy, NOISES[0]), strict=True):
        assert same_bits(found, want)
    for found, want in zip(draws(backend, NOISES[1]), draws(numpy, NOISES[1]), strict=True):
        assert_close(found, want, 8 * float(np.finfo(dtype).eps))  # logarithm, cosine, root


@pytest.mark.parametrize("shape", [(5, 3), (4, 4)])
def test_bits_are_those_of_the_stream(shape):
    """Bits depend on the layer's class, position and step; there is one word per number."""
    layer = Dropout(0.3)
    layer.build(shape, NUMPY, "noise", needs_dx=True, seed=5, index=2)
    layer.reserve(4, training=True)
    for step in (0, 1):
        layer.forward(np.ones((4, *shape), np.float32), training=True)
        wanted = random_integers(NUMPY, stream_key(5, "Dropout", 2), step, 4 * 8)
        assert same_bits(layer._buffers[4].bits.ravel(), wanted)


def test_the_mask_of_a_row_does_not_depend_on_the_batch():
    assert np.array_equal(draws(NUMPY, NOISES[0], batch=3)[0], draws(NUMPY, NOISES[0], batch=4)[0][:3])


@pytest.mark.parametrize("make", NOISES)
def test_identity_in_inference(backend, make):
    x, _ = small_data()
    assert same_bits(build_network([make()], backend=backend).predict(x), x)


def test_backward_uses_the_mask_of_forward(backend):
    layer = Dropout(0.4)
    layer.build((7,), backend, "noise", needs_dx=True)
    layer.reserve(5, training=True)
    x, dy = (np.full((5, 7), v, dtype=np.float32) for v in (2.0, 3.0))
    y = backend.to_host(layer.forward(backend.from_host(x), training=True)).copy()
    dx = backend.to_host(layer.backward(backend.from_host(dy)))
    assert_close(dx, 1.5 * y, 1e-6)
    assert 0 < np.count_nonzero(dx) < dx.size


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_rejects_invalid_rates(rate):
    with input_error("rate is"):
        Dropout(rate)


def test_rejects_invalid_stddev():
    with input_error("stddev is -1"):
        GaussianNoise(-1)
