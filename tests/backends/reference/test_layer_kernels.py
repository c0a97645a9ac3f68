"""The references of convolution, pooling, normalisation and noise, against PyTorch in float64."""

from math import cos, log, pi, sin, sqrt

import array_api_compat.numpy as npx
import numpy as np
import pytest
import torch
from helpers import assert_close, both_dtypes
from oracles import TIGHT

from backends.reference import Kernels

F = torch.nn.functional


def test_max_pooling_indices_are_inside_the_image(backend):
    x = backend.from_host(np.full((1, 2, 2, 1), -np.inf, backend.dtype_name))
    y, index = backend.zeros((1, 2, 2, 1)), backend.zeros((1, 2, 2, 1), dtype=backend.xp.int64)
    backend.kernels.max_pool2d(x, (2, 2), (2, 2), ((1, 1), (1, 1)), y, index)
    assert backend.to_host(index).ravel().tolist() == [0, 1, 2, 3]


def some_bits(batch, n):
    return np.random.default_rng(4).integers(0, 2**63 - 1, (batch, (n + 1) // 2))


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5, 0.99])
def test_dropout(rate):
    bits, x = some_bits(300, 401), np.random.default_rng(5).normal(size=(300, 401))
    mask, y = np.empty_like(x), np.empty_like(x)
    Kernels(npx).dropout(bits, x, rate, mask, y)
    assert set(np.unique(mask)) <= {0.0, 1 / (1 - rate)}
    assert_close(y, x * mask, TIGHT)
    left_out = (mask == 0).mean()
    assert abs(left_out - rate) <= 5 * np.sqrt(rate * (1 - rate) / x.size)
    # Neighbouring numbers, and the two words of one integer, are dropped independently.
    if rate:
        for a, b in ((mask[:, :-1], mask[:, 1:]), (mask[:, :200], mask[:, 201:])):
            assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_dropout_masks_are_equal_in_both_dtypes():
    masks = []
    for dtype in ("float32", "float64"):
        x = np.ones((50, 33), dtype=dtype)
        mask = np.empty_like(x)
        Kernels(npx).dropout(some_bits(50, 33), x, 0.3, mask, np.empty_like(x))
        masks.append(mask != 0)
    assert np.array_equal(*masks)


def test_dropout_at_words_around_the_rate():
    """A rate of 3 / 2^31 drops the words 0 to 2."""
    bits, x = np.asarray([[2 << 32 | 3, 3 << 32 | 2, 0]]), np.ones((1, 6))
    for left_out, expected in ((3, [0, 1, 0, 1, 0, 0]), (0, [1] * 6)):
        mask = np.empty_like(x)
        Kernels(npx).dropout(bits, x, left_out / 2**31, mask, np.empty_like(x))
        assert (mask > 0).astype(int).tolist() == [expected]


def test_gaussian_noise_is_box_muller():
    words = [(0, 2**29 + 1), (2**30, 1), (2**31 - 1, 2**31 - 1)]
    bits, y = np.asarray([[a << 32 | b for a, b in words]]), np.empty((1, 6))
    Kernels(npx).gaussian_noise(bits, np.zeros_like(y), 2.0, y)
    radius = [2.0 * sqrt(-2.0 * log((a + 0.5) / 2**31)) for a, _ in words]
    angle = [2.0 * pi * b / 2**31 for _, b in words]
    expected = [[r * f(t) for f in (cos, sin) for r, t in zip(radius, angle, strict=True)]]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)


@both_dtypes
def test_gaussian_noise_of_extreme_bits_is_finite(dtype):
    bits = np.asarray([[0, 2**63 - 1, (2**31 - 1) << 32]])
    y = np.empty((1, 6), dtype=dtype)
    Kernels(npx).gaussian_noise(bits, np.zeros_like(y), 1.0, y)
    assert np.isfinite(y).all()
    assert np.abs(y).max() < 7
