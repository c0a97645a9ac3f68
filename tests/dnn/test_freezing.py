"""Frozen layers do not change by a bit; L4 of the agreement check compares how the others train."""

import numpy as np
import pytest
from helpers import build_network, fit_small, input_error, same_bits, small_model

from dnn import SGD, Adagrad, Adam, AdamW, Dense, Dropout, LayerNormalization, RMSprop

OPTIMIZERS = [SGD(0.1, momentum=0.9), Adagrad(0.1), RMSprop(0.01, momentum=0.5), Adam(0.01), AdamW(0.01),
              Adam(0.01, clip_norm=0.1)]  # fmt: skip


def network(backend, optimizer="adam", **frozen):
    layers = [Dense(8, "relu", **frozen), LayerNormalization(), Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=2)
    model.compile(optimizer=optimizer, l1=0.01, l2=0.01)
    return model


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_layer_may_be_frozen_and_thawed_between_trainings(backend, optimizer):
    """While it is frozen it gets no update, no penalty and no decay; its moments do not change."""
    model = network(backend, optimizer)
    fit_small(model, epochs=2)
    model.layers[0].trainable = False

    def weights_and_moments():
        vectors = {"weights": model.parameters.vector, **model.optimizer_state.vectors}
        named = {slot: model.parameters.views(vector) for slot, vector in vectors.items()}
        names = "dense_1.W", "dense_2.W"
        return {(n, slot): np.array(backend.to_host(named[slot][n])) for slot in named for n in names}

    before = weights_and_moments()
    fit_small(model, epochs=2)
    for (name, slot), array in weights_and_moments().items():
        assert same_bits(array, before[name, slot]) == (name == "dense_1.W"), (name, slot)
    model.layers[0].trainable = True
    fit_small(model)
    assert not same_bits(weights_and_moments()["dense_1.W", "weights"], before["dense_1.W", "weights"])


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
        message = f"{name} of a Dense cannot be changed to {value!r}; make a new layer"
        with input_error(message):
            setattr(Dense(3), name, value)
    for name, value in (*settings, ("value", {}), ("input_shape", (3,))):
        with input_error(f"{name} of a Dense cannot be changed"):
            setattr(model.layers[0], name, value)
    layer = Dense(3)
    layer.input_shape = (9,)
    with input_error(r"input_shape of a Dense cannot be changed to \(6,\)"):
        build_network([layer])
