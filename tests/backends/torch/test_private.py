"""The calls of torch that are private: when they are made, and that the backend agrees without them."""

import sys

import pytest
import torch
from helpers import both_dtypes
from kernel_checks import assert_equals_reference

from backends import get_backend
from backends.numpy.kernels import NumpyKernels
from backends.torch import dense


@both_dtypes
@pytest.mark.parametrize("variant", ["plain", "strided"])
@pytest.mark.parametrize("missing", ["adam", "adamw"])
def test_without_a_fused_step_the_backend_agrees_with_the_reference(monkeypatch, missing, dtype, variant):
    monkeypatch.delattr(torch, f"_fused_{missing}_")
    assert_equals_reference(get_backend("torch", dtype=dtype), "adam", variant)


def test_without_numba_the_generator_is_numpys(monkeypatch):
    monkeypatch.setitem(sys.modules, "backends.numba.backend", None)
    backend = get_backend("torch")
    assert_equals_reference(backend, "threefry", "plain")
    assert type(backend.kernels._host) is NumpyKernels


@pytest.mark.parametrize(
    ("rows", "units", "dtype", "expected"),
    [(64, 512, "float32", 2), (63, 512, "float32", 0), (64, 511, "float32", 0), (64, 512, "float64", 0)],
)
def test_only_large_float32_products_with_weights_are_onednns(monkeypatch, rows, units, dtype, expected):
    backend = get_backend("torch", "cpu", dtype)
    x, dz, W = (
        torch.ones(shape, dtype=backend.dtype) for shape in ((rows, 512), (rows, units), (512, units))
    )
    calls = []
    real = dense._onednn_linear
    monkeypatch.setattr(dense, "_onednn_linear", lambda *args: calls.append(args) or real(*args))
    results = []
    for has_onednn in (dense.HAS_ONEDNN, False):
        monkeypatch.setattr(dense, "HAS_ONEDNN", has_onednn)
        y, dx, dW = (backend.zeros(shape) for shape in ((rows, units), (rows, 512), (512, units)))
        backend.kernels.dense("linear", x, W, W[0], y)
        backend.kernels.dense_backward("linear", dz, x, y, W, dz, (dW, backend.zeros(units), dx))
        results.append((y, dx))
    assert len(calls) == (expected if torch.backends.mkldnn.is_available() else 0)
    for y, dx in results:
        assert (y == 513.0).all()
        assert (dx == units).all()
