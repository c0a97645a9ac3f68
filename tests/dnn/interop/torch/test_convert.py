"""The native PyTorch twin: bit-identical conversion, and equal losses in float64."""

import numpy as np
import pytest
import torch
from helpers import (
    NOT_IN_TORCH,
    NUMPY,
    assert_listed,
    both_dtypes,
    build_network,
    others_slow,
    three_backends,
)

import dnn.interop.torch as twin
from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn import BatchNormalization, Block, Conv2D, Dense, Flatten, LayerNormalization
from dnn.agreement.cases import loss_variants
from dnn.interop.torch import layers, losses_and_optimizers
from dnn.layers import LAYERS
from dnn.layers.augmentation import Augmentation
from dnn.losses import LOSSES, get_loss
from dnn.optimizers import OPTIMIZERS

N, N_IN, CLASSES = 50, 12, 4


def make_model(backend_name="numpy", dtype="float64", activation="tanh", loss=None):
    last = "softmax" if loss is None else get_loss(loss).output_activation
    model = build_network(
        [Dense(8, activation, name="first"), Dense(8, activation), Dense(CLASSES, last)],
        (N_IN,),
        get_backend(backend_name, dtype=dtype),
        3,
    )
    if loss is not None:
        model.compile(loss)
    return model


def make_data():
    stream = np.random.default_rng(7)
    return stream.random((N, N_IN)), stream.integers(0, CLASSES, N)


def skip_if_not_in_torch(*names):
    if missing := NOT_IN_TORCH & {*names}:
        pytest.skip(f"torch has no {', '.join(missing)}")


AUGMENTATIONS = {name for name, layer in LAYERS.items() if issubclass(layer, Augmentation)}


@pytest.mark.parametrize(
    ("module", "table", "parts"),
    [
        (layers, "LAYER_TWINS", {*LAYERS} - AUGMENTATIONS),
        (layers, "ACTIVATION_TWINS", ACTIVATIONS),
        (losses_and_optimizers, "LOSS_TWINS", LOSSES),
        (losses_and_optimizers, "OPTIMIZER_TWINS", OPTIMIZERS),
    ],
)
def test_tables_list_every_registered_part(module, table, parts):
    file = f"{module.__name__.replace('.', '/')}.py"
    where = f"{table} in {file}, or to NOT_IN_TORCH in tests/helpers.py"
    assert_listed(where, {*getattr(module, table), *(NOT_IN_TORCH & {*parts})}, parts)


@three_backends
@both_dtypes
@pytest.mark.parametrize(
    ("activation", "loss"), [*((each, None) for each in ACTIVATIONS), *(("tanh", each) for each in LOSSES)]
)
def test_round_trip_is_bit_identical(backend_id, dtype, activation, loss):
    skip_if_not_in_torch(activation, loss)
    model = make_model(backend_id, dtype, activation, loss)
    module = twin.to_torch(model)
    again = twin.from_torch(module, get_backend("numpy", dtype=dtype))
    assert [layer.config() | {"initializer": ""} for layer in again.layers] == [
        layer.config() | {"initializer": ""} for layer in model.layers
    ]
    before, after = model.parameters.to_host(), again.parameters.to_host()
    assert list(before) == list(after)
    for name, values in before.items():
        assert values.dtype == after[name].dtype
        assert values.tobytes() == after[name].tobytes()


def test_twin_ends_with_logits_if_the_loss_contains_the_activation(caplog):
    assert isinstance(twin.to_torch(make_model())[-1], torch.nn.Softmax)
    assert isinstance(twin.to_torch(make_model(loss="mean_squared_error"))[-1], torch.nn.Softmax)
    assert not caplog.messages
    assert twin.to_torch(make_model(loss="binary_crossentropy")).left_out == "sigmoid"
    assert "leaves out 'sigmoid'" in caplog.text


@pytest.mark.parametrize("loss", [None, "categorical_crossentropy", "mean_squared_error"])
def test_logits_argument_overrides_the_compiled_loss(loss):
    x, _ = make_data()
    model = make_model(loss=loss)
    outputs, logits = (twin.to_torch(model, logits=expected) for expected in (False, True))
    assert isinstance(outputs[-1], torch.nn.Softmax)
    assert not hasattr(outputs, "left_out")
    assert isinstance(logits[-1], torch.nn.Linear)
    assert logits.left_out == "softmax"
    rows = torch.from_numpy(x)
    with torch.no_grad():
        np.testing.assert_allclose(outputs(rows), model.predict(x), rtol=1e-10)
        assert torch.equal(logits(rows).softmax(1), outputs(rows))
    for module in (outputs, logits):
        assert np.array_equal(twin.from_torch(module, model.backend).predict(x), model.predict(x))


def test_logits_of_a_linear_output():
    model = build_network([Dense(2)], (3,))
    assert [type(m) for m in twin.to_torch(model, logits=True)] == [torch.nn.Linear]


def test_twin_has_its_own_memory():
    model = make_model("torch")
    module = twin.to_torch(model)
    with torch.no_grad():
        module[0].weight.zero_()
    assert np.any(model.parameters.to_host()["first.W"] != 0)


def test_from_torch_accepts_a_repeated_module():
    relu = torch.nn.ReLU()
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), relu, torch.nn.Linear(4, 2), relu)
    model = twin.from_torch(module, NUMPY)
    assert [(layer.name, layer.activation) for layer in model.layers] == [
        ("dense_1", "relu"), ("dense_2", "relu"),
    ]  # fmt: skip


@pytest.mark.parametrize("backend_name", others_slow(["numpy", "torch", "strict"], ["numpy", "torch"]))
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("loss", [each for _, each in loss_variants()], ids=str)
def test_losses_and_gradients_are_those_of_torch(backend_name, rows, loss):
    skip_if_not_in_torch(loss.name)
    stream = np.random.default_rng(9)
    z, targets = 3 * stream.standard_normal((20, 7)), stream.integers(0, 7, 20)
    if rows:
        targets = stream.dirichlet(np.ones(7), 20)
    backend = get_backend(backend_name, dtype="float64")
    losses, gradient = backend.zeros(20), backend.zeros(z.shape)
    loss.bind(backend)(backend.from_host(z), backend.from_host(targets), losses, gradient)
    z_ = torch.tensor(z, requires_grad=True)
    expected = losses_and_optimizers.torch_loss(loss)(z_, torch.tensor(targets))
    expected.backward()
    assert float(backend.xp.mean(losses)) == pytest.approx(expected.item(), rel=1e-12)
    np.testing.assert_allclose(backend.to_host(gradient), z_.grad.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("frozen", [(), (0,), (1, 3), (2, 4), (0, 1, 2, 3, 4)])
def test_frozen_layers_are_frozen_modules(data_format, frozen):
    layers = [
        Conv2D(2, 3),
        BatchNormalization(),
        Flatten(),
        Block([Dense(4), LayerNormalization()]),
        Dense(2),
    ]
    model = build_network(layers, (5, 5, 1))
    for i in frozen:
        model.layers[i].trainable = False
    module = twin.to_torch(model, data_format=data_format)
    fixed = [not parameter.requires_grad for parameter in module.parameters()]
    assert sum(fixed) == len(model.frozen_names)
    assert module[1].training == (1 not in frozen)
    again = twin.from_torch(module, NUMPY)
    assert again.frozen_names == model.frozen_names
