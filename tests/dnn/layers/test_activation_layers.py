"""LeakyReLU, ELU and GELU: with default settings as the named activations, with other settings as torch."""

import mpmath
import numpy as np
import pytest
from helpers import both_dtypes, input_error

from backends import get_backend
from dnn import ELU, GELU, LeakyReLU


def pushed_through(layer, backend, x, dy):
    layer.build(x.shape[1:], backend, "layer", needs_dx=True)
    layer.reserve(len(x), training=True)
    y = np.array(backend.to_host(layer.forward(backend.from_host(x), training=True)))
    return y, np.array(backend.to_host(layer.backward(backend.from_host(dy.copy()))))


@pytest.mark.parametrize("backend_id", ["numpy", "torch", "strict", "cupy"])
@both_dtypes
def test_exact_gelu_keeps_its_digits(make_backend, backend_id, dtype):
    """Also below 0, where torch's 1 + erf cancels."""
    low = -37.0 if dtype == "float64" else -12.5  # further out the result is subnormal
    drawn = np.random.default_rng(0).normal(size=300)
    x = np.concatenate([np.linspace(low, 12, 700), drawn, [1e-30, -1e-30]]).astype(dtype)[None, :]
    y, dx = pushed_through(GELU("none"), make_backend(backend_id, dtype), x, np.ones_like(x))
    with mpmath.workdps(40):
        exact = [mpmath.mpf(float(v)) for v in x[0]]
        wanted = np.array([float(v * mpmath.ncdf(v)) for v in exact])
        slopes = np.array([float(mpmath.ncdf(v) + v * mpmath.npdf(v)) for v in exact])
    eps = float(np.finfo(dtype).eps)
    assert np.max(np.abs(y[0] - wanted) / np.abs(wanted)) <= 5 * eps
    assert np.max(np.abs(dx[0] - slopes)) <= 3 * eps  # it crosses 0 near -0.75


def test_exact_gelu_far_out():
    x = np.array([[np.inf, -np.inf, np.nan, 1e30, -1e30, 0.0]])
    y, dx = pushed_through(GELU("none"), get_backend("strict", dtype="float64"), x, np.ones_like(x))
    np.testing.assert_array_equal(y[0], [np.inf, 0.0, np.nan, 1e30, 0.0, 0.0])
    np.testing.assert_array_equal(dx[0], [1.0, 0.0, np.nan, 1.0, 0.0, 0.5])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakyReLU(-0.1), "slope is -0.1, expected a finite number of at least 0"),
        (lambda: ELU(np.inf), "alpha is inf, expected"),
        (lambda: ELU("1"), "alpha is '1', expected"),
        (lambda: GELU("erf"), "approximate is 'erf', expected one of tanh, none"),
        (lambda: GELU(True), "approximate is True, expected"),
    ],
)
def test_rejects_invalid_arguments(make, message):
    with input_error(message):
        make()
