"""The sizes of activations and gradients before training, compared with PyTorch's autograd."""

import numpy as np
import pytest
import torch
from helpers import NUMPY
from lecture_experiments.experiments import SETTINGS
from lecture_experiments.measures import initial_sizes
from lecture_experiments.run import build

from dnn.datasets import load_dataset
from dnn.interop.torch import to_torch

DIGITS = load_dataset("digits")


@pytest.mark.parametrize("name", ["depth-1-relu", "depth-10-sigmoid", "depth-2-normalised", "initial-small"])
def test_sizes_match_autograd(name):
    model = build(SETTINGS[name], DIGITS, NUMPY, 0)
    sizes = initial_sizes(model, DIGITS, 100)
    twin = to_torch(model, logits=True)
    outputs = []
    for layer in twin.modules():
        if isinstance(layer, (torch.nn.ReLU, torch.nn.Sigmoid)):
            layer.register_forward_hook(lambda *values: outputs.append(float(values[-1].detach().std())))
    x, y = torch.from_numpy(DIGITS.x_train[:100].astype(np.float32)), torch.from_numpy(DIGITS.y_train[:100])
    torch.nn.functional.cross_entropy(twin(x), y).backward()
    expected = [float(p.grad.square().mean().sqrt()) for p in twin.parameters() if p.ndim == 2]
    found = [sizes[f"gradient-{i}"] for i in range(1, len(expected) + 1)]
    assert found == pytest.approx(expected, rel=1e-3)
    assert sizes["gradient-ratio"] == pytest.approx(expected[0] / expected[-2], rel=1e-3)
    if "normalised" not in name:
        shown = [sizes[f"activation-{i}"] for i in range(1, len(outputs) + 1)]
        assert shown == pytest.approx(outputs, rel=1e-2)
