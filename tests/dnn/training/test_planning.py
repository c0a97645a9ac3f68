"""Updates with and without a plan."""

import numpy as np
import pytest
from helpers import build_network

from dnn import (
    Adam,
    CategoricalCrossentropy,
    Dense,
    Dropout,
    Flatten,
    RandomRotation,
    RandomTranslation,
    Rescaling,
    Reshape,
)
from dnn import SparseCategoricalCrossentropy as Sparse
from dnn.inputs.examples import Examples
from dnn.settings.base import layer_from_config
from dnn.training import runners
from dnn.training.planning import make_plan
from dnn.training.step import TrainingStep
from dnn.training.totals import Totals


class Mine(CategoricalCrossentropy):
    """May compute something else."""


def has_plan(layers, shape=(3,), loss="categorical_crossentropy", rows=False, weights=None, **options):
    model = build_network(layers, shape)
    model.compile(loss, **options)
    y = np.eye(3, dtype="f4")[[0, 1, 2, 0]] if rows else np.asarray([0, 1, 2, 0])
    examples = Examples(np.ones((4, *shape), "f4"), y, weights)
    totals = Totals(model, weights is not None, not rows)
    return make_plan(TrainingStep(model, examples, np.arange(4).reshape(2, 2), totals)) is not None


def last(activation="softmax"):
    return Dense(3, activation)


def test_updates_with_a_plan():
    assert has_plan([last()])
    assert has_plan([Flatten(), last("linear")], (3, 2))
    assert has_plan([Rescaling(0.5), Flatten(), Dense(5, "relu"), last()], (3, 2))
    smooth = CategoricalCrossentropy(label_smoothing=0.1)
    for options in ({"loss": Sparse()}, {"loss": smooth}, {"metrics": ()}, {"metrics": ["accuracy"]}):
        assert has_plan([last()], **options)


@pytest.mark.parametrize(
    "options",
    [
        {"layers": [Flatten()]}, {"layers": [Dropout(0.1), last()]}, {"layers": [last("linear"), Flatten()]},
        {"rows": True}, {"weights": np.ones(4, "f4")}, {"metrics": ["mae"]},
        {"metrics": ["accuracy", "mae"]}, {"loss": "mean_squared_error"}, {"loss": Mine()},
        {"optimizer": Adam(clip_norm=1.0)}, {"optimizer": Adam(clip_value=1.0)}, {"l1": 0.1}, {"l2": 0.1},
        {"loss": Sparse(ignore_index=1)},
    ],
)  # fmt: skip
def test_updates_without_a_plan(options):
    assert not has_plan(**{"layers": [last()], **options})


@pytest.mark.parametrize("movers", [[RandomTranslation(1)], [RandomRotation(20.0), RandomTranslation(1)]])
def test_moved_images_train_as_layer_by_layer(backend, monkeypatch, movers):
    """With a shorter last batch; a plan for what follows augmentation adds in another order."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (53, 36)).astype("u1")
    y = rng.integers(0, 3, 53)
    found = []
    for _ in range(2):
        copies = [layer_from_config(type(layer), layer.config()) for layer in movers]
        layers = [Rescaling(1 / 255), Reshape((6, 6)), *copies, Flatten(), Dense(9, "relu"), last()]
        model = build_network(layers, (36,), backend, 3)
        model.compile(optimizer=Adam(0.01))
        history = model.fit(x, y, batch_size=10, epochs=3).history
        found.append((model.parameters.to_host(), history["loss"], history["accuracy"]))
        monkeypatch.setattr(runners, "plan_after_moving", lambda step: None)
    for name, values in found[0][0].items():
        np.testing.assert_allclose(values, found[1][0][name], rtol=1e-3, atol=1e-5, err_msg=name)
    np.testing.assert_allclose(found[0][1:], found[1][1:], rtol=1e-4)
