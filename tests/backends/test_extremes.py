"""Activations and losses for which exp or a square underflows or overflows, against Python's floats.

A finite input never gives NaN; an infinite one gives the limit.
"""

from math import exp, expm1, inf, isinf, log1p, nan, pi, sqrt, tanh

import numpy as np
import pytest
from helpers import BACKENDS, both_dtypes

from backends.reference import ACTIVATIONS

Z = (0.0, 1e-45, 1e-38, 1e-3, 1.0, 20.0, 88.8, 104.0, 710.0, 1e4, 1e13, 1e19, 3e38, 1e160, 1.7e308)
each_backend = pytest.mark.parametrize("backend_id", BACKENDS)


def sigmoid(z):
    return 1 / (1 + exp(-z)) if z > -700 else 0.0


def gelu(z):
    z = min(max(z, -1e3), 1e3)  # beyond, gelu is 0 or z and sigmoid 0 or 1
    v = 2 * sqrt(2 / pi) * (z + 0.044715 * z**3)
    bell = sigmoid(v) * sigmoid(-v) * 2 * sqrt(2 / pi) * (1 + 3 * 0.044715 * z * z)
    return sigmoid(v), sigmoid(v) + z * bell


def silu_slope(z):
    z = min(max(z, -1e3), 1e3)
    return sigmoid(z) * (1 + z * sigmoid(-z))


EXACT = {
    "linear": (lambda z: z, lambda z: 1.0),
    "sigmoid": (sigmoid, lambda z: sigmoid(z) * sigmoid(-z)),
    "tanh": (tanh, lambda z: 1 - tanh(z) ** 2),
    "relu": (lambda z: max(z, 0.0), lambda z: float(z > 0)),
    "leaky_relu": (lambda z: z if z > 0 else z / 100, lambda z: 1.0 if z > 0 else 0.01),
    "elu": (lambda z: z if z > 0 else expm1(z), lambda z: 1.0 if z > 0 else exp(z)),
    "gelu": (lambda z: 0.0 if z == -inf else z * gelu(z)[0], lambda z: gelu(z)[1]),
    "silu": (lambda z: 0.0 if z == -inf else z * sigmoid(z), silu_slope),
    "softplus": (lambda z: max(z, 0.0) + log1p(exp(-abs(z))), sigmoid),
}
"""Activation -> f and f' of a float; at -inf and inf their limits. softmax has a test of its own."""


def numbers(dtype):
    """Return numbers of all magnitudes of the dtype, with both signs, and the infinities."""
    held = np.asarray([z for z in Z if z < float(np.finfo(dtype).max)] + [inf], dtype=dtype)
    return np.concatenate([held, -held])


def compute(backend, name, *arguments):
    """Run a kernel on copies of NumPy arrays; return all arguments afterwards."""
    copies = [backend.from_host(a.copy()) if isinstance(a, np.ndarray) else a for a in arguments]
    with np.errstate(all="ignore"):
        getattr(backend.kernels, name)(*copies)
    return [copy if isinstance(copy, str) else backend.to_host(copy) for copy in copies]


def exactly(function, rows):
    """Return the function of each row, computed with Python's floats, in the dtype of the rows."""
    with np.errstate(all="ignore"):
        return np.asarray([function(*map(float, row)) for row in rows]).astype(rows.dtype)


def assert_near(found, expected, factor=1):
    bound = 8 * float(np.finfo(expected.dtype).eps)
    np.testing.assert_allclose(found, expected, rtol=factor * bound, atol=bound)


@both_dtypes
@each_backend
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
def test_activations_and_derivatives_at_extremes(make_backend, name, backend_id, dtype):
    assert name in EXACT, f"add {name} to EXACT in tests/backends/test_extremes.py"
    backend, z, (f, slope) = make_backend(backend_id, dtype), numbers(dtype), EXACT[name]
    from_output = ACTIVATIONS[name].from_output
    for copies in (1, 16):  # scalar and vectorized code
        x = np.repeat(np.append(z, z.dtype.type(nan)), copies)[None]
        *_, y = compute(backend, "activation", name, x, x)
        *_, dz = compute(backend, "activation_backward", name, np.ones_like(x), y if from_output else x, y, x)
        for found, exact in ((y, f), (dz, slope)):
            expected = exactly(exact, z[:, None])
            assert not np.isnan(expected).any(), f"EXACT of {name} has no limit"
            assert_near(found[0, ::copies][:-1], expected)
        assert np.isnan(y[0, -1])


@both_dtypes
@each_backend
def test_softmax_of_two_logits_is_a_sigmoid(make_backend, backend_id, dtype):
    backend, z = make_backend(backend_id, dtype), numbers(dtype)
    rows = np.stack([z, np.zeros_like(z)], axis=1)[np.isfinite(z)]
    *_, y = compute(backend, "activation", "softmax", rows, rows)
    dy = np.asarray([[1.0, 0.0]] * len(rows), dtype)
    *_, dz = compute(backend, "activation_backward", "softmax", dy, y, y, dy)
    for found, function in zip((y, dz), EXACT["sigmoid"], strict=True):
        assert_near(found[:, 0], exactly(function, rows[:, :1]))


def softmax_cross_entropy(z, other, hit):
    """Return (loss, derivative by z) for logits (z, other), with class 0 or class 1 as the target."""
    wrong = other - z if hit else z - other
    return max(wrong, 0.0) + log1p(exp(-abs(wrong))), sigmoid(z - other) - hit


def binary_cross_entropy(z, hit):
    wrong = -z if hit else z
    return max(wrong, 0.0) + log1p(exp(-abs(wrong))), sigmoid(z) - hit


def square(y, t):
    return (y - t) * (y - t), y - t  # half the derivative: its double may be infinite


def distance(y, t):
    return abs(y - t), float(y > t) - float(y < t)


def hinge(y, hit):
    s = 1.0 if hit else -1.0
    return max(0.0, 1 - s * y), -s if 1 - s * y > 0 else 0.0


LOSSES = {
    "sigmoid_cross_entropy": binary_cross_entropy,
    "mean_squared_error": square,
    "mean_absolute_error": distance,
    "hinge": hinge,
}


@both_dtypes
@each_backend
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_at_extremes(make_backend, name, backend_id, dtype):
    """One output, with targets 0 and 1."""
    backend, z = make_backend(backend_id, dtype), numbers(dtype)[:, None]
    for target in (0.0, 1.0):
        *_, losses, dy = compute(backend, name, z, np.full_like(z, target), z[:, 0], z)
        expected, slopes = exactly(lambda v, t=target: LOSSES[name](v, t), z).T
        assert_near(losses, expected)
        assert_near(dy[:, 0], slopes * ((2 if name == "mean_squared_error" else 1) / len(z)), 2)


@both_dtypes
@each_backend
@pytest.mark.parametrize("rows", [False, True])
def test_softmax_cross_entropy_of_two_logits(make_backend, rows, backend_id, dtype):
    backend = make_backend(backend_id, dtype)
    finite = [v for v in numbers(dtype) if not isinf(v)]
    z = np.asarray([(a, b) for a in finite for b in (0.0, finite[-1], -finite[-1])], dtype=dtype)
    for label in (0, 1):
        labels = np.eye(2, dtype=dtype)[[label] * len(z)] if rows else np.full(len(z), label)
        *_, losses, dlogits = compute(backend, "softmax_cross_entropy", z, labels, z[:, 0], z)
        expected, slopes = exactly(lambda a, b, hit=1 - label: softmax_cross_entropy(a, b, hit), z).T
        assert_near(losses, expected)
        assert_near(dlogits[:, 0] * len(z), slopes, 2)


@each_backend
def test_batch_norm_of_equal_numbers_has_their_mean(make_backend, backend_id):
    """If 1000 rows were added one after another, the mean would be off by 7e-6, and y by 0.2."""
    backend = make_backend(backend_id)
    x, y = (backend.zeros((1000, 5)) for _ in range(2))
    x[...] = 100.3
    zeros, ones = (lambda: backend.zeros(5)), backend.zeros(5) + 1.0
    running, stats = (zeros(), zeros()), (zeros(), zeros())
    backend.kernels.batch_norm(x, ones, zeros(), running, (0.1, 1e-5), stats, y)
    for array, expected in ((stats[0], 100.3), (running[0], 10.03), (y, 0.0)):
        np.testing.assert_allclose(backend.to_host(array), expected, rtol=3e-7, atol=1e-6)
