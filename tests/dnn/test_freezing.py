"""Frozen layers do not change by a bit; unknown attributes are rejected."""

import numpy as np
import pytest
import torch
from helpers import NUMPY, NUMPY64, build_network, input_error, same_bits, small_data, small_model

from dnn import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    BatchNormalization,
    Dense,
    Dropout,
    LayerNormalization,
    RMSprop,
)
from dnn.interop.torch import to_torch

OPTIMIZERS = [SGD(0.1, momentum=0.9), Adagrad(0.1), RMSprop(0.01, momentum=0.5), Adam(0.01), AdamW(0.01),
              Adam(0.01, clip_norm=0.1)]  # fmt: skip


def network(backend, optimizer="adam", **frozen):
    layers = [Dense(8, "relu", **frozen), LayerNormalization(), Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=2)
    model.compile(optimizer=optimizer, l1=0.01, l2=0.01)
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{o.clip_norm}")
def test_frozen_parameters_get_no_update_no_penalty_and_no_decay(backend, optimizer):
    model = network(backend, optimizer, trainable=False)
    before = model.parameters.to_host()
    model.fit(*small_data(), batch_size=10, epochs=3)
    after = model.parameters.to_host()
    for name in before:
        assert same_bits(after[name], before[name]) == name.startswith("dense_1."), name


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda o: f"{o.name}-{o.clip_norm}")
def test_a_layer_may_be_frozen_and_thawed_between_trainings(optimizer):
    model = network(NUMPY, optimizer)
    model.fit(*small_data(), batch_size=10, epochs=2)
    model.layers[0].trainable = False
    held = model.parameters.to_host()["dense_1.W"]
    moments = {s: v.copy() for s, v in model.optimizer_state.vectors.items()}
    model.fit(*small_data(), batch_size=10, epochs=2)
    assert same_bits(model.parameters.to_host()["dense_1.W"], held)
    for slot, vector in model.optimizer_state.vectors.items():
        views = (model.parameters.views(v)["dense_1.W"] for v in (vector, moments[slot]))
        assert same_bits(*(np.ascontiguousarray(v) for v in views))
    model.layers[0].trainable = True
    model.fit(*small_data(), batch_size=10)
    assert not same_bits(model.parameters.to_host()["dense_1.W"], held)


def test_frozen_layers_train_the_others_as_torch_does():
    """Gradients flow through frozen layers, and a frozen normalisation uses its running averages."""
    layers = [
        Dense(8, "tanh"),
        BatchNormalization(trainable=False),
        Dense(4, trainable=False),
        Dense(3, "softmax"),
    ]
    model = build_network(layers, backend=NUMPY64, seed=2)
    model.compile(optimizer=SGD(0.1))
    state = {name: 0.5 + np.abs(v) for name, v in model.parameters.to_host().items() if "running" in name}
    model.parameters.load({**model.parameters.to_host(), **state})
    x, y = small_data()
    x = x.astype(np.float64)
    module = to_torch(model)
    module[2].eval()
    for child in (module[2], module[3]):
        child.requires_grad_(False)
    adapt = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    for start in range(0, 50, 10):
        part = slice(start, start + 10)
        adapt.zero_grad()
        loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(x[part])), torch.from_numpy(y[part]))
        loss.backward()
        adapt.step()
    model.fit(x, y, batch_size=10, shuffle=False)
    after = model.parameters.to_host()
    for name, child in (("dense_1", module[0]), ("dense_2", module[3]), ("dense_3", module[4])):
        np.testing.assert_allclose(after[f"{name}.W"], child.weight.detach().numpy().T, rtol=1e-11)
    assert all(same_bits(after[name], values) for name, values in state.items())


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: Dense(3), "trainabel"),
        (lambda: Dropout(0.1), "rates"),
        (lambda: small_model(), "learning_rate"),
    ],
)
def test_rejects_unknown_attributes(make, name):
    with input_error(name):
        setattr(make(), name, 1)


def test_settings_of_a_layer_are_frozen():
    model = small_model()
    settings = (("units", 9), ("activation", "tanh"), ("name", "other"))
    for name, value in settings:
        message = f"a Dense's {name} cannot be changed to {value!r}; make a new layer"
        with input_error(message):
            setattr(Dense(3), name, value)
    for name, value in (*settings, ("value", {}), ("input_shape", (3,))):
        with input_error(f"is in a model, where its {name} cannot be changed"):
            setattr(model.layers[0], name, value)
    layer = Dense(3)
    layer.input_shape = (9,)
    with input_error(r"a Dense's input_shape cannot be changed to \(6,\)"):
        build_network([layer])
