"""Without any one of torch's private calls the backend still agrees with the reference."""

from __future__ import annotations

import pytest
import torch
from helpers import both_dtypes
from kernel_checks import assert_equals_reference

from backends import get_backend
from backends.torch import dense


class Without:
    """torch's operators without one of them."""

    def __init__(self, namespace, name):
        self._namespace, self._name = namespace, name

    def __getattr__(self, name):
        if name == self._name:
            raise AttributeError(name)
        return getattr(self._namespace, name)


@pytest.fixture(params=["_fused_adam_", "_fused_adamw_", "softmax"])
def affected_kernels(request, monkeypatch):
    """(name, kind) of the kernels that used the missing call."""
    if request.param == "softmax":
        monkeypatch.setattr(dense, "aten", Without(torch.ops.aten, "_softmax_backward_data"))
        return [("activation_backward", "softmax"), ("dense_backward", "softmax")]
    monkeypatch.delattr(torch, request.param)
    return [(request.param.removeprefix("_fused_").removesuffix("_"), None)]


@both_dtypes
@pytest.mark.parametrize("variant", ["plain", "strided", "special"])
def test_without_a_private_call_the_backend_agrees_with_the_reference(affected_kernels, dtype, variant):
    backend = get_backend("torch", dtype=dtype)
    for name, kind in affected_kernels:
        assert_equals_reference(backend, name, kind, variant)
