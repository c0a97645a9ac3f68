"""The gradient size of each layer before training, compared with PyTorch's autograd."""

import numpy as np
import pytest
import torch
from helpers import NUMPY, build_network
from lecture_experiments.experiments import DEPTHS, EXPERIMENTS
from lecture_experiments.measurements import gradient_sizes, gradients_grid

from dnn.datasets import load_dataset
from dnn.interop.torch import to_torch


@pytest.fixture(scope="module")
def sizes():
    return gradient_sizes(load_dataset("digits"), NUMPY, 0, 100)


@pytest.mark.parametrize("name", ["depth-1-relu", "depth-3-sigmoid", "depth-10-sigmoid"])
def test_gradient_sizes_match_autograd(sizes, name):
    data, backend = load_dataset("digits"), NUMPY
    layers = EXPERIMENTS[name].layers(10)[1:]
    twin = to_torch(build_network(layers, (64,), backend), logits=True)
    x, y = data.x_train[:100] / np.float32(255), data.y_train[:100]
    torch.nn.functional.cross_entropy(twin(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    wanted = [float(p.grad.square().mean().sqrt()) for p in twin.parameters() if p.ndim == 2]
    assert sizes[name] == pytest.approx(wanted, rel=1e-4)


def test_table_of_first_and_last_layers(sizes):
    heads, *rows = gradients_grid(sizes)
    assert len(rows) == 2 * len(DEPTHS)
    (first, *_, last, output), row = sizes["depth-3-relu"], rows[8]
    assert row[:4] == [EXPERIMENTS["depth-3-relu"].about, *(f"{size:.1e}" for size in (first, last, output))]
    assert float(row[4]) == pytest.approx(first / last, rel=0.05)
    assert len(heads) == 5
