"""A training step of torch on CUDA without a GPU, on torch's device "meta": shapes and no numbers.

Reading a number back raises an error there, and the code runs the same paths as on a GPU.
"""

import pytest
import torch
from helpers import build_network, on_meta

from dnn import Activation, BatchNormalization, Dense, Dropout, GaussianNoise, OneCycle
from dnn.agreement.cases import optimizer_variants
from dnn.inputs.examples import Examples
from dnn.optimizers import Adam
from dnn.optimizers.schedules import LinearDecay
from dnn.training.step import TrainingStep
from dnn.training.totals import Totals


def step_of(optimizer, layers, **options):
    model = build_network([*layers, Dense(3, "softmax")], (5,), on_meta())
    model.compile(optimizer=optimizer, **options)
    x = torch.zeros((20, 5), dtype=torch.uint8, device="meta")
    y = torch.zeros(20, dtype=torch.int64, device="meta")
    order = torch.zeros((4, 5), dtype=torch.int64, device="meta")
    return TrainingStep(model, Examples(x, y, None), order, Totals(model))


@pytest.fixture(autouse=True)
def fused_adam(monkeypatch):
    """Check the arguments of torch's fused Adam, which does not support meta tensors."""

    def check(params, grads, *rest, lr, **settings):
        tensors = [*params, *grads, *(t for group in rest for t in group), lr]
        assert all(t.is_meta for t in tensors)

    monkeypatch.setattr(torch, "_fused_adamw_", check)


CASES = [*optimizer_variants(), ("adam falling", Adam(LinearDecay(0.1, 10)))]


@pytest.mark.parametrize("optimizer", [o for _, o in CASES], ids=[name for name, _ in CASES])
def test_a_step_reads_nothing_back(optimizer):
    step = step_of(optimizer, [Dense(7, kind) for kind in ("sigmoid", "relu", "tanh")])
    step()
    step()
    assert step.batch_x.is_meta
    assert step.network.parameters.gradient_vector.is_meta


def test_random_layers_and_running_averages_read_nothing_back():
    layers = [Dense(7), BatchNormalization(), Activation("gelu"), Dropout(0.3), GaussianNoise(0.1)]
    step = step_of(Adam(OneCycle(0.1, 10), clip_norm=1.0), layers, l2=0.1)
    step()
    step()
