"""The text of advice on shapes; test_cures.py follows it."""

import numpy as np
import pytest

from dnn.inputs.advice import examples_cure, targets_cure

ARRAY = np.zeros(1)


@pytest.mark.parametrize(
    ("found", "shape", "cure"),
    [
        ((6, 5, 3, 5), (5, 5, 3), ""),
        ((6, 2, 3, 4, 5), (3, 4, 5, 2), "use x.transpose(0, 2, 3, 4, 1)"),
        ((6, 20), (5, 2, 2), "use x.reshape((6, 5, 2, 2)) if the channels of a pixel are neighbours, or "
         "x.reshape((6, 2, 5, 2)).transpose(0, 2, 3, 1) if rows are in PyTorch's order"),
        ((6, 5, 1), (1, 5), "use x.reshape((6, 1, 5))"),
        ((6, 4, 5), (10, 2), ""),
        ((6, 4, 4, 3), (3, 4, 4), "images are (height, width, channels): make the "
         "model with input_shape=(4, 4, 3)"),
        ((6, 4, 5, 2), (2, 4, 5), ""),
        ((6, 7), (5,), ""),
        ((), (5,), ""),
    ],
)  # fmt: skip
def test_advice_on_examples(found, shape, cure):
    assert examples_cure("x", ARRAY, found, shape) == cure


@pytest.mark.parametrize("found", [(5, 2), (6, 2, 2), (5,), ()])
def test_no_advice_on_other_targets(found):
    assert targets_cure("y", ARRAY, found, 6, 3) == ""
