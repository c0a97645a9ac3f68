"""Private functions of torch: when the backend calls them, and that it agrees without them."""

import sys

import pytest
import torch
from helpers import both_dtypes
from kernel_checks import assert_equals_reference

from backends import get_backend
from backends.numpy.kernels import NumpyKernels


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
