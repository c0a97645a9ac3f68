"""Training with parts of a user's own module, and comparing the saved model."""

from helpers import build_network, fit_small, same_bits, small_data, weights

from backends.reference import ACTIVATIONS
from dnn import LAYERS, LOSSES, OPTIMIZERS, SCHEDULES
from dnn.checkpoints import load_model
from dnn.metrics import METRICS

TABLES = (LAYERS, LOSSES, OPTIMIZERS, SCHEDULES, METRICS, ACTIVATIONS)


def train(layers, loss="categorical_crossentropy"):
    model = build_network(layers, seed=1)
    model.compile(loss)
    before = weights(model)
    history = fit_small(model, epochs=4).history
    assert history["loss"][-1] < history["loss"][0]
    assert not same_bits(before, weights(model))
    return model


def assert_saved_and_loaded(model, path):
    model.save(path)
    loaded = load_model(path, model.backend)
    assert loaded.config() == model.config()
    x, _ = small_data()
    assert same_bits(loaded.predict(x), model.predict(x))
    fit_small(loaded)
