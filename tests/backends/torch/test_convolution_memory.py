"""Convolutions never pass oneDNN the shapes for which it writes outside its memory."""

import numpy as np
import torch
from kernel_checks import LayoutContender, calls_of


def test_torch_never_gets_shapes_with_known_defects(make_backend, monkeypatch):
    """Neither the strides that ``_prepare`` avoids, nor borders as wide as the filters (oneDNN#5942)."""
    backend = make_backend("torch")
    calls = []

    def check(x, W, strides, padding, dilation):
        calls.append(x.shape)
        size = np.array(W.shape[2:])
        reach = 1 + (size - 1) * dilation
        windows = (np.array(x.shape[2:]) + 2 * np.array(padding) - reach) // strides + 1
        assert (np.array(strides)[(size == 1) | (windows == 1)] == 1).all()
        assert (padding < reach).all()

    def forward(x, W, b, *geometry, original=torch.conv2d):
        check(x, W, *geometry[:3])
        return original(x, W, b, *geometry)

    def backward(dz, x, W, n, *geometry, original=torch.ops.aten.convolution_backward):
        check(x, W, *geometry[:3])
        return original(dz, x, W, n, *geometry)

    monkeypatch.setattr(torch, "conv2d", forward)
    monkeypatch.setattr(torch.ops.aten, "convolution_backward", backward)
    count = 0
    for kernel in ("conv2d", "conv2d_backward"):
        for call in calls_of(kernel):
            LayoutContender(backend).kernel(call)
            count += 1
    assert len(calls) == count
