"""Private functions of torch: when the backend calls them, and that it agrees without them."""

import sys

import numpy as np
import pytest
import torch
from helpers import both_dtypes
from kernel_checks import assert_equals_reference

from backends import get_backend, registry
from backends.numpy.kernels import NumpyKernels
from backends.torch import dense


@both_dtypes
@pytest.mark.parametrize("variant", ["plain", "strided"])
def test_without_a_fused_step_the_backend_agrees_with_the_reference(monkeypatch, dtype, variant):
    monkeypatch.delattr(torch, "_fused_adamw_")
    assert_equals_reference(get_backend("torch", dtype=dtype), "adam", variant)


def test_without_numba_the_generator_is_numpys(monkeypatch):
    monkeypatch.setitem(sys.modules, "backends.numba.backend", None)
    find = registry.host_kernels.__wrapped__
    assert type(find()) is NumpyKernels
    monkeypatch.setattr("backends.torch.kernels.host_kernels", find)
    assert_equals_reference(get_backend("torch"), "threefry", "plain")


@pytest.mark.parametrize(
    ("rows", "units", "dtype", "has_onednn", "computes_dW", "expected"),
    [
        (64, 512, "float32", True, False, 2),
        (64, 512, "float32", True, True, 3),
        (64, 512, "float32", False, False, 0),
        (63, 512, "float32", True, True, 0),
        (64, 511, "float32", True, True, 0),
        (64, 512, "float64", True, True, 0),
    ],
)
def test_only_large_float32_products_are_onednns(
    monkeypatch, rows, units, dtype, has_onednn, computes_dW, expected
):
    backend = get_backend("torch", "cpu", dtype)
    calls = []
    monkeypatch.setattr(dense, "PREFERS_ONEDNN", has_onednn)
    monkeypatch.setattr(dense, "ONEDNN_COMPUTES_DW", computes_dW)
    monkeypatch.setattr(
        dense, "_onednn_linear", lambda x, W, b: calls.append(W) or x.new_zeros(len(x), len(W))
    )
    x, dz, W = map(backend.zeros, ((rows, 512), (rows, units), (512, units)))
    backend.kernels.dense(x, W, W[0], dz)
    backend.kernels.dense_backward(dz, x, W, (W, W[0], x))
    assert len(calls) == expected


@pytest.mark.skipif(not dense.HAS_ONEDNN, reason="this torch has no oneDNN")
def test_onednn_and_mkl_give_the_same_products(monkeypatch):
    """Each machine prefers one of them, and both are correct everywhere."""
    backend = get_backend("torch", "cpu")
    rng = np.random.default_rng(5)
    shapes = (64, 512), (512, 520), (520,), (64, 520)
    x, W, b, dz = (torch.asarray(rng.standard_normal(s, dtype=np.float32)) for s in shapes)
    found = []
    for prefers in (True, False):
        monkeypatch.setattr(dense, "PREFERS_ONEDNN", prefers)
        monkeypatch.setattr(dense, "ONEDNN_COMPUTES_DW", prefers)
        z, dW, db, dx = map(backend.zeros, ((64, 520), (512, 520), (520,), (64, 512)))
        backend.kernels.dense(x, W, b, z)
        backend.kernels.dense_backward(dz, x, W, (dW, db, dx))
        found.append((z.numpy(), dW.numpy(), dx.numpy()))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
