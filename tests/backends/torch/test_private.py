"""Without torch's private fused steps the backend still agrees with the reference."""

import pytest
import torch
from helpers import both_dtypes
from kernel_checks import assert_equals_reference

from backends import get_backend


@both_dtypes
@pytest.mark.parametrize("variant", ["plain", "strided"])
@pytest.mark.parametrize("missing", ["adam", "adamw"])
def test_without_a_fused_step_the_backend_agrees_with_the_reference(monkeypatch, missing, dtype, variant):
    monkeypatch.delattr(torch, f"_fused_{missing}_")
    assert_equals_reference(get_backend("torch", dtype=dtype), "adam", variant)
