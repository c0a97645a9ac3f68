"""copy, deepcopy and pickle: an independent model that continues as the original would."""

import copy
import pickle

import numpy as np
import pytest
from helpers import NUMPY, fit_small, same_bits, small_data, small_model, weights

from backends import get_backend
from dnn import Adam, BatchNormalization, Dense, Dropout, LinearDecay, Rescaling, Sequential


def through_pickle(thing):
    return pickle.loads(pickle.dumps(thing))


each_way = pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, through_pickle])


def trained(backend, cls=Sequential):
    layers = [
        Rescaling(0.5), Dense(8), BatchNormalization(), Dropout(0.2), Dense(4, "tanh", trainable=False),
        Dense(3, "softmax", name="last"),
    ]  # fmt: skip
    model = cls(layers, input_shape=(6,), backend=backend, seed=3)
    model.compile(optimizer=Adam(LinearDecay(0.05, 30)), metrics=["accuracy", distance], l2=1e-3)
    fit_small(model)
    return model


def distance(y, outputs):
    return outputs[:, 0]


@each_way
def test_a_copy_is_an_independent_model(backend, copied):
    x, y = small_data()
    model = trained(backend)
    before, parameters = model.predict(x), weights(model)
    other = copied(model)
    assert type(other) is Sequential
    assert other.config() == model.config()
    assert (other.epochs_done, other.seed, other.metrics) == (1, 3, model.metrics)
    assert same_bits(other.predict(x), before)
    found = other.fit(x, y, batch_size=10, epochs=2).history
    assert same_bits(model.predict(x), before)
    assert same_bits(weights(model), parameters)
    wanted = model.fit(x, y, batch_size=10, epochs=2).history
    assert found["loss"] == wanted["loss"]
    assert found["distance"] == wanted["distance"]
    assert same_bits(weights(other), weights(model))


@each_way
def test_before_it_is_compiled(copied):
    model = Sequential([Dense(3)], input_shape=(6,), backend="numpy", seed=1)
    other = copied(model)
    assert other.loss is None
    assert same_bits(weights(other), weights(model))
    assert (other.backend is model.backend) == (copied is not through_pickle)


def test_pickle_keeps_the_settings_of_the_backend():
    backend = through_pickle(small_model(get_backend("numpy", dtype="float64", fused=False))).backend
    assert (backend.name, backend.dtype_name, backend.fused) == ("numpy", "float64", False)


@each_way
def test_a_copied_layer_has_the_settings_and_no_model(copied):
    """A copied layer belongs to no model, so it can become part of one."""
    model = small_model()
    layer = copied(model.layers[0])
    assert layer.config() == model.layers[0].config()
    assert not layer.value
    frozen = copied(Dense(3, trainable=False))
    assert not frozen.trainable
    Sequential([layer, Dense(3)], input_shape=(6,), backend=NUMPY)


class Narrow(Sequential):
    """With another constructor and attributes of its own, among them a layer and itself."""

    kind = "narrow"

    def __init__(self, width, backend):
        self.head = Dense(width)
        super().__init__([self.head], input_shape=(6,), backend=backend)
        self.notes = {"width": width, "model": self, "head": self.head}
        self._hidden = [width]


class Named(Sequential):
    """With the usual constructor."""


@each_way
def test_classes_of_your_own_keep_their_attributes(copied):
    assert type(copied(trained(NUMPY, Named))) is Named
    model = Narrow(3, NUMPY)
    model.compile()
    model.kind, model.added = "wide", np.ones(2)
    other = copied(copied(model))
    assert type(other) is Narrow
    assert (other.kind, other._hidden, other.notes["width"], other.added.tolist()) == ("wide", [3], 3, [1, 1])
    assert other.head is other.layers[0]
    is_shared = copied is copy.copy
    assert (other.notes is model.notes, other.added is model.added) == (is_shared, is_shared)
    if not is_shared:
        assert other.notes["model"] is other
        assert other.notes["head"] is other.head
    assert vars(other).keys() == vars(model).keys()
    other.fit(*small_data())
    assert not same_bits(weights(other), weights(model))
