"""The native PyTorch twin: bit-identical conversion, and equal training in float64."""

from inspect import signature

import numpy as np
import pytest
import torch
from helpers import (
    NOT_IN_TORCH,
    NUMPY,
    NUMPY64,
    assert_listed,
    both_dtypes,
    build_network,
    input_error,
    others_slow,
    three_backends,
)

import dnn.interop.torch as twin
from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn import Adam, Dense, Sequential
from dnn.agreement.cases import loss_variants, optimizer_variants
from dnn.interop.torch import convert, layers, losses_and_optimizers
from dnn.layers import LAYERS
from dnn.layers.augmentation import Augmentation
from dnn.losses import LOSSES, CategoricalCrossentropy, get_loss
from dnn.optimizers import OPTIMIZERS
from dnn.optimizers.schedules import LinearDecay

N, N_IN, CLASSES = 50, 12, 4


def make_model(backend_name="numpy", dtype="float64", activation="tanh", loss=None, optimizer="adam"):
    last = "softmax" if loss is None else get_loss(loss).output_activation
    model = build_network(
        [Dense(8, activation, name="first"), Dense(8, activation), Dense(CLASSES, last)],
        (N_IN,),
        get_backend(backend_name, dtype=dtype),
        3,
    )
    if loss is not None:
        model.compile(loss, optimizer)
    return model


def make_data(dtype="float64"):
    stream = np.random.default_rng(7)
    return stream.random((N, N_IN)).astype(dtype), stream.integers(0, CLASSES, N)


def assert_fit_equals_the_twin(model, x, y, loss="categorical_crossentropy", optimizer="adam", **options):
    """Train a compiled model and its twin with the same options; return the twin."""
    module = twin.to_torch(model)
    ours = model.fit(x, y, **options)
    theirs = twin.fit(module, x, y, seed=model.seed, loss=loss, optimizer=optimizer, **options)
    assert ours.epoch == theirs.epoch
    assert set(ours.history) == set(theirs.history)
    for key in set(ours.history) - {"seconds"}:
        np.testing.assert_allclose(ours.history[key], theirs.history[key], rtol=1e-12)
    after = model.parameters.to_host()
    for key, p, axes in convert.twin_parameters(module):
        np.testing.assert_allclose(after[key], p.permute(axes).detach().numpy(), rtol=1e-8, atol=1e-12)
    return module


def skip_if_not_in_torch(*names):
    if missing := NOT_IN_TORCH & {*names}:
        pytest.skip(f"torch has no {', '.join(missing)}")


AUGMENTATIONS = {name for name, layer in LAYERS.items() if issubclass(layer, Augmentation)}


@pytest.mark.parametrize(
    ("module", "table", "parts"),
    [
        (layers, "LAYER_TWINS", {*LAYERS, "Augmentation"} - AUGMENTATIONS),
        (layers, "ACTIVATION_TWINS", ACTIVATIONS.keys() - {"linear"}),
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


def test_twin_ends_with_logits_if_the_loss_contains_the_activation():
    assert isinstance(twin.to_torch(make_model())[-1], torch.nn.Softmax)
    assert isinstance(twin.to_torch(make_model(loss="mean_squared_error"))[-1], torch.nn.Softmax)
    assert twin.to_torch(make_model(loss="binary_crossentropy")).left_out == "sigmoid"


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


def test_fit_rejects_softmax_before_cross_entropy():
    x, y = make_data()
    with input_error(r"ends with softmax.*to_torch\(model, logits=True\)"):
        twin.fit(twin.to_torch(make_model(), logits=False), x, y, batch_size=10)


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


@pytest.mark.parametrize(
    ("optimizer", "loss"),
    [
        *((each, CategoricalCrossentropy()) for _, each in optimizer_variants()),
        *((Adam(), each) for _, each in loss_variants()),
        (Adam(LinearDecay(0.01, steps=10)), CategoricalCrossentropy()),  # it ends before the training
    ],
    ids=str,
)
def test_fit_equals_sequential_fit_in_float64(optimizer, loss):
    skip_if_not_in_torch(optimizer.name, loss.name)
    x, y = make_data()
    model = make_model(loss=loss, optimizer=optimizer)
    assert_fit_equals_the_twin(model, x, y, loss, optimizer, batch_size=8, epochs=3, validation_data=(x, y))


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


def test_defaults_are_those_of_sequential():
    theirs = {**signature(Sequential).parameters, **signature(Sequential.fit).parameters}
    ours = {p.name: p.default for p in signature(twin.fit).parameters.values() if p.kind is p.KEYWORD_ONLY}
    assert (ours.pop("loss"), ours.pop("optimizer")) == ("categorical_crossentropy", "adam")
    assert ours == {name: theirs[name].default for name in ours}


def test_evaluate_works_in_batches_and_restores_the_mode():
    x, y = (torch.from_numpy(a) for a in make_data())
    module, loss = twin.to_torch(make_model(), logits=True), losses_and_optimizers.torch_loss("hinge")
    with torch.no_grad():
        outputs = module(x)
    expected = float(loss(outputs, y)), float((outputs.argmax(1) == y).double().mean())
    for training in (True, False):
        module.train(training)
        assert twin.evaluate(module, x, y, loss, batch_size=7) == pytest.approx(expected, rel=1e-12)
        assert module.training is training


@pytest.mark.parametrize(("loss", "bias"), [("hinge", 0.0), ("mean_squared_error", 0.5)])
def test_output_at_the_boundary_counts_as_negative(loss, bias):
    """In Sequential and in torch, in evaluation and before the first update."""
    x, y = np.zeros((6, N_IN)), np.asarray([0, 1, 1, 1, 1, 1])
    model = build_network([Dense(1)], (N_IN,), NUMPY64)
    model.compile(loss, metrics=("accuracy",))
    model.parameters.load({"dense_1.W": np.zeros((N_IN, 1)), "dense_1.b": np.full(1, bias)})
    module, of_torch = twin.to_torch(model), losses_and_optimizers.torch_loss(loss)
    tensors = torch.from_numpy(x), torch.from_numpy(y[:, None]).double()
    threshold = {"threshold": 0.0} if loss == "hinge" else {}  # default: 0.5
    evaluated = twin.evaluate(module, *tensors, of_torch, **threshold)[1]
    trained = twin.fit(module, x, y, loss=loss).history["accuracy"][0]
    assert (model.evaluate(x, y).accuracy, evaluated, trained) == pytest.approx((1 / 6,) * 3)


def test_bytes_are_scaled_as_in_sequential():
    x = np.random.default_rng(1).integers(0, 256, (N, N_IN), dtype=np.uint8)
    model = make_model(loss="categorical_crossentropy")
    assert_fit_equals_the_twin(model, x, make_data()[1], batch_size=10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"validation_data": (*make_data(), np.ones(N))}, "three parts"),
        ({"y": 2 * np.eye(CLASSES)[make_data()[1]]}, "y holds values from 0 to 2"),
        ({"x": np.zeros((N, 3))}, "x has shape"),
    ],
)
def test_fit_rejects_bad_arguments(change, words):
    x, y = make_data()
    arguments = {"x": x, "y": y, "batch_size": 10} | change
    with input_error(words):
        twin.fit(twin.to_torch(make_model()), **arguments)


def test_fit_rejects_a_module_that_does_not_show_its_input():
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten(), torch.nn.Linear(72, 3))
    with input_error("module does not show the shape of its examples, expected a twin from to_torch"):
        twin.fit(module, np.zeros((9, 1, 8, 8), np.float32), np.arange(9) % 3)
