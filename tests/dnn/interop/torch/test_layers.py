"""Every layer against its torch.nn twin in float64: forward, backward, and networks."""

import numpy as np
import pytest
import torch
from helpers import NOT_IN_TORCH, NUMPY, NUMPY64, build_network, others_slow, three_backends
from layer_edges import EDGES
from torch import nn

import dnn.interop.torch as twin
from backends import get_backend
from dnn import (
    ELU,
    GELU,
    SGD,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalMaxPooling2D,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    RandomTranslation,
    Rescaling,
    Reshape,
)
from dnn.agreement import get_contender
from dnn.agreement.bounds import eta
from dnn.agreement.contenders.oracle import DISTURBANCE
from dnn.agreement.samples import samples
from dnn.interop import NoTwin

BOUND = 1e-12
REFUSALS = "draws its own random numbers in torch", "expected equal padding on opposite sides"
"""Why a sample of a layer with a twin has none."""


def run_both(backend_name, make, shape, batch, mean=0.0):
    """Return our tensors and torch's from forward and backward, and the layer's measured condition."""
    stream, probe = np.random.default_rng(3), make()
    probe.build(shape, NUMPY, "layer", needs_dx=True)
    values = {k: stream.standard_normal(s) for k, s in probe.parameter_shapes().items()}
    x, dy = stream.standard_normal((batch, *shape)), stream.standard_normal((batch, *probe.output_shape))
    x += mean
    moved = x * stream.choice([1 - DISTURBANCE, 1 + DISTURBANCE], x.shape)
    ours, theirs, disturbed = (
        get_contender(name).in_dtype("float64").run_layer(make(), shape, values, [(inputs, dy.copy())])
        for name, inputs in ((backend_name, x), ("pytorch", x), ("pytorch", moved))
    )
    return ours, theirs, max(1.0, eta(disturbed["y"], theirs["y"]) / DISTURBANCE)


def assert_close(ours, theirs, magnified=1.0):
    assert ours.keys() == theirs.keys()
    for name, desired in theirs.items():
        assert eta(ours[name], desired) <= BOUND * magnified, name


@pytest.mark.parametrize("batch", [1, 6])
@pytest.mark.parametrize("backend_name", others_slow(["numpy", "torch", "strict"], ["torch"]))
def test_every_layer(backend_name, batch):
    refused = {}
    for name, make, shape in samples():
        if make().must_precede_trained or (batch == 1 and "BatchNormalization" in name):
            continue
        try:
            assert_close(*run_both(backend_name, make, shape, batch))
        except NoTwin as error:
            if not {type(make()).__name__, make().activation} & NOT_IN_TORCH:
                refused[name] = str(error)
    unknown = {name: why for name, why in refused.items() if not any(words in why for words in REFUSALS)}
    assert not unknown, f"correct LAYER_TWINS or ACTIVATION_TWINS in dnn/interop/torch/layers.py: {unknown}"


@pytest.mark.parametrize("batch", [1, 4])
@three_backends
def test_odd_sizes_strides_and_padding(backend_id, batch):
    for make, shape in EDGES:
        if batch == 1 and isinstance(make(), BatchNormalization):
            continue
        assert_close(*run_both(backend_id, make, shape, batch))


@three_backends
@pytest.mark.parametrize("layer_class", [BatchNormalization, LayerNormalization])
def test_normalisation_far_from_zero(backend_id, layer_class):
    """With mean 1e5 and standard deviation 1 the rounding of the mean is magnified by 1e5."""
    assert_close(*run_both(backend_id, layer_class, (24,), 100, mean=1e5))


def image_layers():
    return [
        Reshape((8, 8, 1)),
        Conv2D(4, 3, "leaky_relu", name="first"),
        BatchNormalization(),
        Activation("gelu"),
        MaxPooling2D(2),
        Conv2D(3, 2, padding=1),
        AveragePooling2D(2),
        Dropout(0.0),
        Flatten(),
        LayerNormalization(),
        Dense(6, "softplus"),
        Dense(4, "softmax"),
    ]


def image_data():
    stream = np.random.default_rng(8)
    return stream.random((30, 64)), stream.integers(0, 4, 30)


@three_backends
@pytest.mark.parametrize("optimizer", [SGD(0.05), SGD(0.05, clip_norm=0.1), SGD(0.05, clip_value=0.01)])
def test_network_of_all_layers_trains_as_in_torch(backend_id, optimizer):
    """Running averages included."""
    x, y = image_data()
    model = build_network(image_layers(), (64,), get_backend(backend_id, dtype="float64"), 2)
    model.compile(optimizer=optimizer)
    module = twin.to_torch(model)
    loss, updates = twin.torch_loss(model.loss), twin.torch_optimizer(optimizer, module)
    for rows in np.split(np.arange(30), 3):
        model.train_on_batch(x[rows], y[rows])
        updates.zero_grad()
        loss(module(torch.tensor(x[rows])), torch.tensor(y[rows])).backward()
        updates.step()
    trained = twin.from_torch(module, NUMPY64).parameters.to_host()
    for name, values in model.parameters.to_host().items():
        if values.dtype.kind == "f":  # torch does not count the masks of Dropout
            np.testing.assert_allclose(values, trained[name], rtol=1e-10, atol=1e-13)


def convert_and_back(model, **options):
    """Return the model of the model's twin, after checking its layers."""
    again = twin.from_torch(twin.to_torch(model, **options), model.backend, seed=2)
    assert again.seed == 2
    before, after = ([x.config() | {"initializer": ""} for x in m.layers] for m in (model, again))
    assert before == after
    return again


def test_an_augmentation_is_an_identity():
    layers = [Reshape((8, 8, 1)), RandomTranslation(1), Flatten(), Dense(4)]
    model = build_network(layers, (64,), NUMPY64)
    x, _ = image_data()
    again = twin.from_torch(twin.to_torch(model), NUMPY64)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert np.array_equal(again.predict(x), model.predict(x))


@pytest.mark.parametrize("logits", [True, None])
def test_from_torch_restores_the_last_activation(logits):
    """With None the compiled loss decides."""
    layers = [Dense(3), BatchNormalization(), Activation("softmax")]
    model = build_network(layers, (4,))
    model.compile()
    module = twin.to_torch(model, logits=logits)
    assert (len(module), module.left_out) == (2, "softmax")
    convert_and_back(model, logits=logits)


@pytest.mark.parametrize(
    "layer",
    [
        MaxPooling2D(3, strides=2, padding=1, ceil_mode=True),
        AveragePooling2D(3, strides=2, padding=1, ceil_mode=True, count_include_pad=True),
        GlobalMaxPooling2D(),
        Conv2D(4, 3, dilation=(1, 2)),
        Conv1D(5, 3, "relu", padding=1, use_bias=False),
        LeakyReLU(0.2),
        ELU(0.5),
        GELU("none"),
        Rescaling(2.0, -1.0),
    ],
)
def test_round_trip_preserves_options(layer):
    shape = (16, 4) if isinstance(layer, Conv1D) else (8, 8, 1)
    convert_and_back(build_network([Reshape(shape), layer, Flatten(), Dense(4)], (64,)))


def test_same_padding_equals_keras_for_larger_strides():
    layer = Conv2D(1, 3, strides=2, padding="same")
    layer.shape_after((7, 8, 1))
    assert layer.borders == ((1, 1), (0, 1))


@pytest.mark.parametrize(
    ("first", "shape"),
    [
        (nn.Linear(6, 2), (6,)),
        (nn.Sequential(nn.Dropout(), nn.Linear(5, 2)), (5,)),
    ],
)
def test_from_torch_infers_the_input_shape_from_the_first_linear(first, shape):
    model = twin.from_torch(nn.Sequential(first, nn.Flatten()), NUMPY)
    assert model.input_shape == shape
