"""Shapes of convolutions with which oneDNN writes outside its memory do not reach it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kernel_cases import Numbers, cases
from kernel_checks import grouped, on_device
from random_convolutions import BOUND, run_trainings

PROCESSORS = {
    "own": {},
    "avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"},
    "sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41", "ATEN_CPU_CAPABILITY": "default"},
}
SEED = 7


@pytest.mark.parametrize("processor", ["own", "avx2"])
def test_trainings_end_and_agree_with_numpy(processor):
    assert max(run_trainings(SEED, 40, 80, PROCESSORS[processor])) <= BOUND


@pytest.mark.slow
@pytest.mark.parametrize("processor", PROCESSORS)
@pytest.mark.parametrize("first", range(0, 300, 100))
def test_many_trainings_end_and_agree_with_numpy(processor, first):
    assert max(run_trainings(SEED, first, first + 100, PROCESSORS[processor])) <= BOUND


@pytest.mark.parametrize("name", ["conv2d", "grouped_conv2d"])
def test_torch_gets_no_shape_with_a_known_fault(make_backend, monkeypatch, name):
    """Neither 1x1 filters with strides (oneDNN#6035) nor borders as wide as the filters (oneDNN#5942)."""
    backend = make_backend("torch")
    calls = []

    def watch(module, function, geometry):
        original = getattr(module, function)

        def watched(*arguments):
            calls.append(geometry(*arguments))
            return original(*arguments)

        monkeypatch.setattr(module, function, watched)

    # (filters, strides, padding, dilation)
    watch(torch, "conv2d", lambda x, W, b, *geometry: (W, *geometry[:3]))
    watch(torch.ops.aten, "convolution_backward", lambda dz, x, W, n, *geometry: (W, *geometry[:3]))
    count = 0
    for kernel in (name, f"{name}_backward"):
        for case in cases(kernel, Numbers(1, "float32", False), None):
            backend.kernel(kernel)(*grouped(on_device(backend, kernel, case, "plain")))
            count += 1
    assert len(calls) == count
    for W, strides, padding, dilation in calls:
        size = tuple(W.shape[2:])
        assert size != (1, 1) or tuple(strides) == (1, 1)
        reach = 1 + (np.array(size) - 1) * dilation
        assert (padding < reach).all()
