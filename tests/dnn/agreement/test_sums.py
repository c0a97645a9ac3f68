"""Bounds hold for any order of summation: in many lanes, few lanes, or one."""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat.numpy as npx
import numpy as np
import pytest

from backends import BackendUnavailable
from backends.numpy.backend import NumpyBackend
from dnn.agreement import Data, bounds, check, contender_ids, get_contender, make_oracle
from dnn.agreement.ours import BackendContender
from dnn.agreement.sizes import Sizes
from dnn.datasets import load_dataset
from dnn.layers import BatchNormalization, LayerNormalization


class SequentialSums:
    """NumPy, but every sum and product adds its terms one after another and rounds each partial sum.

    This is one lane without fused multiply-add, the least favourable summation.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(npx, name)

    def sum(self, x, /, *, axis=None, dtype=None, keepdims=False):
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = sorted(a % x.ndim for a in axes)
        for a in axes:
            start = np.zeros_like(x, shape=(*x.shape[:a], 1, *x.shape[a + 1 :]))
            x = np.add.accumulate(np.concatenate([start, x], axis=a), axis=a)
            x = np.take(x, [-1], axis=a)
        return x if keepdims else np.squeeze(x, tuple(axes))

    def mean(self, x, /, *, axis=None, keepdims=False):
        total = self.sum(x, axis=axis, keepdims=keepdims)
        return total / x.dtype.type(x.size / max(total.size, 1))

    def matmul(self, a, b, /):
        total = np.zeros_like(a, shape=(a.shape[0], b.shape[1]))
        for column, row in zip(a.T, b, strict=True):
            total += np.multiply.outer(column, row)
        return total


def make_sequential_contender():
    return BackendContender(
        "in order", lambda dtype: NumpyBackend("in order", SequentialSums(), "cpu", dtype, fused=False)
    )


@pytest.fixture(params=[*contender_ids(), "in order"])
def contender(request):
    if request.param == "in order":
        return make_sequential_contender()
    try:
        return get_contender(request.param)
    except BackendUnavailable as error:
        pytest.skip(str(error))


def test_sums_in_one_lane_are_within_every_bound(monkeypatch):
    monkeypatch.setattr("backends.reference.sums.BLOCK_ROWS", sys.maxsize)
    digits = load_dataset("digits")
    data = Data(digits.x_train.reshape(len(digits.x_train), -1), digits.y_train, 10)
    sizes = Sizes(sweep=200, batches=1, hidden=(64, 64), small=(32, 32))
    records = check([make_sequential_contender()], data, levels=["L0", "L1", "L2"], sizes=sizes)
    assert [f"{r.level} {r.case} {r.tensor} {r.ratio:.3g}" for r in records if not r.holds] == []


@pytest.mark.parametrize("layer_class", [BatchNormalization, LayerNormalization])
def test_normalisation_far_from_zero(contender, layer_class):
    """With mean 100 and standard deviation 1, rounding the mean loses two digits in every library."""
    stream = np.random.default_rng(0)
    x = (100 + stream.standard_normal((100, 24))).astype(np.float32)
    dy = stream.standard_normal(x.shape).astype(np.float32)
    values = {name: stream.standard_normal(24).astype(np.float32) for name in ("gamma", "beta")}
    expected, got = (c.run_layer(layer_class(), (24,), values, [(x, dy)]) for c in (make_oracle(), contender))
    assert set(got) == set(expected) or not contender.trains
    worst_eta = max(bounds.eta(array, expected[tensor]) for tensor, array in got.items())
    assert worst_eta < bounds.layer(100, condition=100)


def test_normalisation_bound_needs_its_condition():
    """Rounding the means of columns to float32 breaks the bound without the condition."""
    x = (100 + np.random.default_rng(0).standard_normal((100, 24))).astype(np.float32).astype(np.float64)
    mean = x.mean(axis=0)
    right, rounded = ((x - m) / x.std(axis=0) for m in (mean, mean.astype(np.float32).astype(np.float64)))
    assert bounds.layer(100) < bounds.eta(rounded, right) < bounds.layer(100, condition=100)
