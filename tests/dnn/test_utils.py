"""``to_categorical``: class numbers as one-hot rows."""

import numpy as np
import pytest
from helpers import input_error

from dnn.utils import to_categorical


@pytest.mark.parametrize("x", [[2, 0], [[2], [0]], np.array([2.0, 0.0]), np.array([2, 0], np.uint8)])
def test_rows(x):
    np.testing.assert_array_equal(to_categorical(x), [[0, 0, 1], [1, 0, 0]])
    assert to_categorical(x, 5).shape == (2, 5)


@pytest.mark.parametrize(
    ("x", "classes", "words"),
    [
        ([0, 3], 3, "class numbers from 0 to 3, expected 0 to 2"),
        ([-1, 1], 3, "class numbers from -1 to 1"),
        ([0.5], None, "expected class numbers"),
        ([], None, r"shape \(0,\)"),
        (["a"], None, "dtype <U1"),
        ([[1, 2]], None, r"shape \(1, 2\)"),
        ([1], 0, "num_classes is 0"),
    ],
)
def test_no_class_numbers(x, classes, words):
    with input_error(words):
        to_categorical(x, classes)
