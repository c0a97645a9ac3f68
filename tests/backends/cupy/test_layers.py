"""How many launches CuPy's convolution and normalisation take; test_overrides.py has what they compute."""

from __future__ import annotations

import array_api_compat.numpy as npx
import host_cuda
import numpy as np
import pytest
from helpers import assert_close

from backends.cupy import compiled, layers

if host_cuda.COMPILER is None:
    pytest.skip("no C++ compiler", allow_module_level=True)

FREE = ("empty", "reshape", "ascontiguousarray")  # of contiguous arrays


class Counting:
    """NumPy's namespace; notes the calls that would start a kernel."""

    def __init__(self, seen):
        self.seen = seen

    def __getattr__(self, name):
        function = getattr(npx, name)
        return lambda *a, **o: (name in FREE or self.seen.append(name), function(*a, **o))[1]


@pytest.fixture
def started(monkeypatch):
    seen = []

    def elementwise(name):
        return lambda *arguments: (seen.append(name), host_cuda.Elementwise(name)(*arguments))[1]

    monkeypatch.setattr(compiled, "elementwise", elementwise)
    return seen


def zeros(*shapes):
    return tuple(np.zeros(shape, np.float32) for shape in shapes)


def test_a_convolution_is_one_product(started):
    """Whatever the window's size: the reference has a product and a sum for each of its pixels."""
    x, W, b, z, dx = zeros((4, 9, 9, 2), (5, 5, 2, 3), 3, (4, 9, 9, 3), (4, 9, 9, 2))
    geometry = (1, 1), ((2, 2), (2, 2))
    layers.conv2d(Counting(started), x, W, b, *geometry, z)
    assert started == ["unfold", "matmul", "bias_activation"]
    started.clear()
    layers.conv2d_backward(Counting(started), z, x, W, *geometry, (W.copy(), b, dx))
    assert started == ["zeros", "unfold", "matmul", "sum", "sum", "matmul", "fold"]


def test_many_images_are_unfolded_a_few_at_a_time(started, monkeypatch):
    monkeypatch.setattr(layers, "UNFOLDED", 2 * 81 * 50)
    x, W, b, z = zeros((5, 9, 9, 2), (5, 5, 2, 3), 3, (5, 9, 9, 3))
    layers.conv2d(Counting(started), x, W, b, (1, 1), ((2, 2), (2, 2)), z)
    assert started == 3 * ["unfold", "matmul", "bias_activation"]


def test_what_few_images_add_is_what_all_of_them_do(started, monkeypatch):
    shapes = (5, 9, 9, 2), (5, 5, 2, 3), (5, 9, 9, 3)
    x, W, dz = (np.random.default_rng(2).random(shape, np.float32) for shape in shapes)
    made = []
    for most in (layers.UNFOLDED, 2 * 81 * 50):
        monkeypatch.setattr(layers, "UNFOLDED", most)
        made.append(zeros(W.shape, 3, x.shape))
        layers.conv2d_backward(npx, dz, x, W, (1, 1), ((2, 2), (2, 2)), made[-1])
    for all_at_once, few in zip(*made, strict=True):
        assert_close(few, all_at_once, 1e-6)


def test_normalisation_is_seven_launches(started):
    x, y, gamma, beta, *others = zeros((64, 5), (64, 5), *[5] * 6)
    running, kept = tuple(others[:2]), tuple(others[2:])
    layers.batch_norm(Counting(started), x, gamma, beta, running, (0.1, 1e-5), kept, y)
    assert started == ["sum", "sum", "centred_square", "sum", "sum", "batch_statistics", "batch_normalized"]
    started.clear()
    layers.batch_norm_backward(Counting(started), y, x, kept, gamma, (gamma, beta, y))
    assert started == ["batch_along", *["sum"] * 4, "batch_backward"]
