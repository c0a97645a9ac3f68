"""Activations and losses for which exp or a square underflows or overflows, against Python's floats.

A finite input never gives NaN; an infinite one gives the limit.
"""

from __future__ import annotations

from math import exp, expm1, inf, isinf, log1p, nan, pi, sqrt, tanh

import numpy as np
import pytest
from helpers import BACKENDS, both_dtypes

from backends.reference import ACTIVATIONS

Z = (0.0, 1e-45, 1e-38, 1e-3, 1.0, 20.0, 88.8, 104.0, 710.0, 1e4, 1e13, 1e19, 3e38, 1e160, 1.7e308)


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


@both_dtypes
@pytest.mark.parametrize("backend_id", BACKENDS)
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "softmax"])
def test_activations_and_derivatives_at_extremes(make_backend, name, backend_id, dtype):
    assert name in EXACT, f"add {name} to EXACT in tests/backends/test_extremes.py"
    backend, z = make_backend(backend_id, dtype), numbers(dtype)
    for copies in (1, 16):  # scalar and vectorized code
        x = backend.from_host(np.repeat(np.append(z, z.dtype.type(nan)), copies)[None])
        y, dz = backend.from_host(np.empty(x.shape, dtype)), backend.from_host(np.empty(x.shape, dtype))
        with np.errstate(all="ignore"):
            backend.kernels.activation(name, x, y)
            given = y if ACTIVATIONS[name].from_output else x
            backend.kernels.activation_backward(name, backend.xp.ones_like(x), given, y, dz)
            # A layer with the single weight 1.
            inputs = backend.from_host(np.full((x.shape[1], 1), nan, dtype))
            if ACTIVATIONS[name].from_output:
                one, zero = backend.xp.ones_like(x[:, :1]), backend.zeros(1)
                backend.kernels.dense(name, backend.view(x, inputs.shape), one, zero, inputs)
            else:
                inputs = backend.view(y, inputs.shape)
        made, (f, slope) = (y, dz, backend.view(inputs, y.shape)), EXACT[name]
        for found, exact in zip(made, (f, slope, f), strict=True):
            found = backend.to_host(found)[0, ::copies]
            with np.errstate(over="ignore"):
                expected = np.asarray([exact(float(v)) for v in z]).astype(dtype)
            assert not np.isnan(expected).any(), (
                f"EXACT of {name} in tests/backends/test_extremes.py has no limit"
            )
            bound = 8 * float(np.finfo(dtype).eps)
            np.testing.assert_allclose(found[:-1], expected, rtol=bound, atol=bound, err_msg=f"z = {z}")
        assert np.isnan(backend.to_host(y)[0, -1])


@both_dtypes
@pytest.mark.parametrize("backend_id", BACKENDS)
def test_softmax_of_two_logits_is_a_sigmoid(make_backend, backend_id, dtype):
    backend, z = make_backend(backend_id, dtype), numbers(dtype)
    rows = np.stack([z, np.zeros_like(z)], axis=1)[np.isfinite(z)]
    x, dy = backend.from_host(rows), backend.from_host(np.asarray([[1.0, 0.0]] * len(rows), dtype))
    y, dz = backend.from_host(np.empty_like(rows)), backend.from_host(np.empty_like(rows))
    with np.errstate(all="ignore"):
        backend.kernels.activation("softmax", x, y)
        backend.kernels.activation_backward("softmax", dy, y, y, dz)
        exact = np.asarray([[f(float(v)) for v in rows[:, 0]] for f in EXACT["sigmoid"]]).astype(dtype)
    bound = 8 * float(np.finfo(dtype).eps)
    for found, expected in zip((y, dz), exact, strict=True):
        np.testing.assert_allclose(backend.to_host(found)[:, 0], expected, rtol=bound, atol=bound)


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
@pytest.mark.parametrize("backend_id", BACKENDS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_at_extremes(make_backend, name, backend_id, dtype):
    """One output, with targets 0 and 1."""
    backend, bound, z = make_backend(backend_id, dtype), 8 * float(np.finfo(dtype).eps), numbers(dtype)
    for target in (0.0, 1.0):
        y, t = (backend.from_host(a[:, None].copy()) for a in (z, np.full_like(z, target)))
        losses, dy = backend.from_host(np.empty_like(z)), backend.from_host(np.empty_like(z[:, None]))
        with np.errstate(all="ignore"):
            getattr(backend.kernels, name)(y, t, losses, dy)
            exact = np.asarray([LOSSES[name](float(v), target) for v in z]).T.astype(dtype)
        np.testing.assert_allclose(backend.to_host(losses), exact[0], rtol=bound, atol=bound)
        share = (2 if name == "mean_squared_error" else 1) / len(z)
        np.testing.assert_allclose(backend.to_host(dy)[:, 0], exact[1] * share, rtol=2 * bound, atol=bound)


@both_dtypes
@pytest.mark.parametrize("backend_id", BACKENDS)
@pytest.mark.parametrize("rows", [False, True])
def test_softmax_cross_entropy_of_two_logits(make_backend, rows, backend_id, dtype):
    backend, bound = make_backend(backend_id, dtype), 8 * float(np.finfo(dtype).eps)
    finite = [v for v in numbers(dtype) if not isinf(v)]
    z = np.asarray([(a, b) for a in finite for b in (0.0, finite[-1], -finite[-1])], dtype=dtype)
    for label in (0, 1):
        labels = np.eye(2, dtype=dtype)[[label] * len(z)] if rows else np.full(len(z), label)
        logits, targets = backend.from_host(z.copy()), backend.from_host(labels)
        losses, dlogits = backend.from_host(np.empty(len(z), dtype)), backend.from_host(np.empty_like(z))
        with np.errstate(all="ignore"):
            backend.kernels.softmax_cross_entropy(logits, targets, losses, dlogits)
            exact = np.asarray([softmax_cross_entropy(*map(float, row), 1 - label) for row in z])
            exact = exact.T.astype(dtype)
        np.testing.assert_allclose(backend.to_host(losses), exact[0], rtol=bound, atol=bound)
        slopes = backend.to_host(dlogits)[:, 0] * len(z)
        np.testing.assert_allclose(slopes, exact[1], rtol=2 * bound, atol=8 * bound)


@pytest.mark.parametrize("backend_id", BACKENDS)
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
