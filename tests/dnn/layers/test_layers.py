"""Dense and Activation: settings, shapes, buffers; the numbers are tested with the kernels and the model."""

from inspect import signature
from itertools import product

import numpy as np
import pytest
from helpers import NUMPY, build_network, input_error

from dnn import Dense
from dnn.agreement.samples import samples
from dnn.layers import LAYERS


def model_of(*layers):
    return build_network(list(layers), (4,))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((0,), {}, "units is 0, expected an integer of at least 1"),
        ((2, "rleu"), {}, "activation is 'rleu', expected one of linear.*did you mean 'relu'"),
        ((2,), {"initializer": "glorot"}, "initializer is 'glorot', expected one of"),
    ],
)
def test_rejects_invalid_arguments(arguments, options, message):
    with input_error(message):
        Dense(*arguments, **options)


def test_initializer_follows_the_activation():
    assert Dense(2, "relu").initializer == "he_uniform"
    assert {Dense(2, a).initializer for a in ("linear", "tanh")} == {"glorot_uniform"}


@pytest.mark.parametrize(
    "name",
    ["Dense", "Conv2D", "BatchNormalization", "Dropout", "Embedding", "Flatten", "MaxPooling2D", "ELU"],
)
def test_a_layer_outside_a_model_names_the_cure(name):
    settings = LAYERS[name].examples[0]
    layer = LAYERS[name](**settings)
    x = np.zeros((2, 4), np.float32)
    with input_error(f"a {name} was called like a function, expected Sequential"):
        layer(x)
    for call in (lambda: layer.forward(x, training=True), lambda: (layer.forward(x), layer.backward(x))):
        with input_error(f"a {name} layer is in no model yet, expected Sequential"):
            call()
    assert not hasattr(layer, "_kernel")
    with pytest.raises(AttributeError, match=f"'{name}' object has no attribute 'filter'"):
        layer.filter  # noqa: B018


def test_config_recreates_the_layer():
    layer = Dense(np.int64(3), "tanh", initializer="he_normal", name="last")
    again = LAYERS["Dense"](**layer.config())
    assert again.config() == layer.config()
    assert again.config()["name"] == "last"
    assert type(again.units) is int


def test_names():
    model = model_of(Dense(2), Dense(2, name="mine"), Dense(2))
    assert [layer.name for layer in model.layers] == ["dense_1", "mine", "dense_3"]
    with input_error(r"layers are named \['x', 'x'\]"):
        model_of(Dense(2, name="x"), Dense(2, name="x"))


def test_the_first_trained_layer_returns_no_gradient():
    """This holds for every kind of layer, also for frozen ones."""
    kinds = {make.func: (make, shape) for _, make, shape in samples()}
    assert set(kinds) == set(LAYERS.values())
    assert True not in {signature(kind.forward).parameters["training"].default for kind in kinds}
    for (make, shape), needs_dx, trainable in product(kinds.values(), (True, False), (True, False)):
        layer = make()
        layer.trainable = trainable
        if layer.must_precede_trained and needs_dx:
            continue
        layer.build(shape, NUMPY, "layer", needs_dx=needs_dx)
        layer.attach(*({n: NUMPY.zeros(s) for n, s in layer.parameter_shapes().items()} for _ in "vg"))
        layer.reserve(3, training=True)
        layer.forward(NUMPY.zeros((3, *shape)), training=True)
        dx = layer.backward(NUMPY.zeros((3, *layer.output_shape)))
        if needs_dx or layer.parameter_shapes():
            assert (dx is None) != needs_dx, (type(layer), trainable)
