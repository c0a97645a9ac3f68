"""BatchNormalization and LayerNormalization: statistics, running averages, batches of one."""

import numpy as np
import pytest
import torch
from helpers import NUMPY, assert_close, build_network, input_error, same_bits, small_data

from dnn import SGD, BatchNormalization, Dense, Flatten
from dnn.interop.torch import to_torch

EPS = float(np.finfo(np.float32).eps)


def build_in_model(layer, shape, backend, batch=20):
    """Return the layer in a model, with buffers for this batch size."""
    model = build_network([layer, Flatten()], shape, backend)
    model.reserve(batch, training=True)
    return model


@pytest.mark.parametrize("shape", [(6,), (3, 4, 5)])
def test_running_averages(shape):
    """The variance is the unbiased one; inference changes nothing. Agreement compares y with torch's."""
    layer = BatchNormalization(momentum=0.3)
    build_in_model(layer, shape, NUMPY)
    x = np.random.default_rng(2).normal(1.0, 2.0, (20, *shape)).astype(np.float32)
    for training in (True, False):
        layer.forward(x, training=training)
    rows = x.reshape(-1, shape[-1])
    assert_close(layer.state["running_mean"], 0.3 * rows.mean(axis=0), 64 * EPS)
    expected = np.float32(0.7) + np.float32(0.3) * rows.var(axis=0, ddof=1)
    assert_close(layer.state["running_variance"], expected, 64 * EPS)


def test_a_training_batch_of_one_uses_the_running_averages(backend, caplog):
    """As in evaluation in torch, where training refuses it; it warns once and leaves the averages alone."""
    x, y = small_data(21)
    model = build_network([BatchNormalization(name="norm"), Dense(3, "softmax")], backend=backend)
    model.compile(optimizer=SGD(0.1))
    model.fit(x[:20], y[:20], batch_size=10)
    assert not caplog.records
    module = to_torch(model, device="cpu", logits=True).eval()
    before = model.parameters.to_host()
    model.fit(x[20:], y[20:], epochs=2)
    assert len(caplog.records) == 1
    assert "'norm' normalises a batch of one example by its running averages" in caplog.text
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        outputs = module(torch.from_numpy(x[20:]).to(next(module.parameters()).dtype))
        torch.nn.functional.cross_entropy(outputs, torch.from_numpy(y[20:]).long()).backward()
        optimizer.step()
    after = model.parameters.to_host()
    assert_close(after["norm.gamma"], module.norm.weight.detach().numpy(), 64 * EPS)
    assert_close(after["norm.beta"], module.norm.bias.detach().numpy(), 64 * EPS)
    assert_close(after["dense_1.W"], module.dense_1.weight.detach().numpy().T, 64 * EPS)
    assert all(same_bits(after[name], before[name]) for name in before if "running" in name)


def test_one_image_has_a_variance(backend):
    layer = BatchNormalization()
    build_in_model(layer, (3, 4, 2), backend, batch=1)
    x = np.random.default_rng(1).normal(size=(1, 3, 4, 2)).astype(np.float32)
    y = backend.to_host(layer.forward(backend.from_host(x), training=True))
    assert np.abs(y.mean((0, 1, 2))).max() < 1e-6


@pytest.mark.parametrize("options", [{"momentum": 1.5}, {"momentum": -0.1}, {"epsilon": -1.0}])
def test_rejects_invalid_settings(options):
    with input_error(f"{next(iter(options))} is"):
        BatchNormalization(**options)
