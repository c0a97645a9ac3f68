"""Updates with and without a plan."""

from dataclasses import dataclass

import numpy as np
import pytest

from backends import get_backend
from dnn import Adam, CategoricalCrossentropy, Dense, Dropout, Flatten, Rescaling, Sequential
from dnn import SparseCategoricalCrossentropy as Sparse
from dnn.training.planning import make_plan
from dnn.training.step import TrainingStep
from dnn.training.totals import Totals
from dnn.validation.examples import Examples


@dataclass(frozen=True)
class Mine(CategoricalCrossentropy):
    """May compute something else."""


def has_plan(layers, shape=(3,), loss="categorical_crossentropy", rows=False, weights=None, **options):
    model = Sequential(layers, input_shape=shape, backend=get_backend("numpy"))
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
    for options in ({"loss": Sparse()}, {"metrics": ()}, {"metrics": ["accuracy"]}):
        assert has_plan([last()], **options)


@pytest.mark.parametrize(
    "options",
    [
        {"layers": [Flatten()]}, {"layers": [Dropout(0.1), last()]}, {"layers": [last("linear"), Flatten()]},
        {"rows": True}, {"weights": np.ones(4, "f4")}, {"metrics": ["mae"]},
        {"metrics": ["accuracy", "mae"]}, {"loss": "mean_squared_error"}, {"loss": Mine()},
        {"optimizer": Adam(clip_norm=1.0)}, {"optimizer": Adam(clip_value=1.0)}, {"l1": 0.1}, {"l2": 0.1},
        {"loss": CategoricalCrossentropy(label_smoothing=0.1)}, {"loss": Sparse(ignore_index=1)},
    ],
    ids=lambda options: "-".join(map(str, options)),
)  # fmt: skip
def test_updates_without_a_plan(options):
    assert not has_plan(**{"layers": [last()], **options})
