"""Bounds hold for any order of summation: in many lanes, few lanes, or one."""

from __future__ import annotations

import sys
from typing import Any

import array_api_compat.numpy as npx
import numpy as np
import pytest

from backends.numpy.backend import NumpyBackend
from dnn.agreement import check
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.setup import Sizes


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
        if len(a) < len(b):  # the shorter loop is faster
            for row, target in zip(a, total, strict=True):
                target[:] = self.sum(row[:, None] * b, axis=0)
            return total
        for column, row in zip(a.T, b, strict=True):
            total += np.multiply.outer(column, row)
        return total


@pytest.mark.slow
def test_sums_in_one_lane_are_within_every_bound(data, monkeypatch):
    monkeypatch.setattr("backends.reference.arithmetic.BLOCK_ROWS", sys.maxsize)
    sizes = Sizes(sweep=200, batches=1, hidden=(64, 64), small=(32, 32))
    contender = BackendContender(
        "in order", lambda dtype: NumpyBackend("in order", SequentialSums(), "cpu", dtype, fused=False)
    )
    records = check([contender], data, levels=["L0", "L1", "L2"], sizes=sizes)
    assert [f"{r.level} {r.case} {r.tensor} {r.ratio:.3g}" for r in records if not r.holds] == []
