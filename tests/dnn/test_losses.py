"""The table of goals; their numbers are tested with the kernels and the model."""

import pytest

from backends.reference import KERNELS
from dnn.losses import LOSSES


@pytest.mark.parametrize("name", ["categorical_crossentropy", "mean_squared_error"])
def test_table(name):
    loss = LOSSES[name]()
    assert loss.name == name
    assert KERNELS[loss.kernel][1] == ("integer", "dense")


def test_cross_entropy_contains_softmax():
    activations = {name: loss.activation for name, loss in LOSSES.items()}
    assert activations == {"categorical_crossentropy": "softmax", "mean_squared_error": None}
