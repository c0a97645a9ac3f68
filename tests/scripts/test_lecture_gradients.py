"""The gradient size of each layer before training, compared with PyTorch's autograd."""

import numpy as np
import pytest
import torch
from helpers import NUMPY, build_network
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS
from lecture_experiments.tables import gradients_grid

from dnn.datasets import load_dataset
from dnn.interop.torch import to_torch

DIGITS = load_dataset("digits")


@pytest.fixture(scope="module")
def grid():
    return gradients_grid(EXPERIMENTS, DIGITS, NUMPY, 0, 100)


@pytest.mark.parametrize("name", ["depth-1-relu", "depth-3-sigmoid", "depth-10-sigmoid"])
def test_gradient_sizes_match_autograd(grid, name):
    assert len(grid) == 1 + 2 * len(DEPTHS)
    layers = EXPERIMENTS[name].layers(10)[1:]
    twin = to_torch(build_network(layers, (64,), NUMPY), logits=True)
    x, y = DIGITS.x_train[:100] / np.float32(255), DIGITS.y_train[:100]
    torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    sizes = [float(p.grad.square().mean().sqrt()) for p in twin.parameters() if p.ndim == 2]
    (row,) = [cells for about, *cells in grid if about == EXPERIMENTS[name].about]
    expected = [sizes[0], sizes[-2], sizes[-1], sizes[0] / sizes[-2]]
    assert list(map(float, row)) == pytest.approx(expected, rel=0.05)
