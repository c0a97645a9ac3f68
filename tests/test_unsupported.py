"""Errors of features that docs/guide/parts.md calls unsupported."""

import numpy as np
import pytest
from helpers import input_error, small_data, small_model

import dnn


def test_no_other_names_of_keras():
    with input_error(r"expected model.predict\(x\)"):
        small_model()(small_data()[0])
    with input_error("expected a subclass of Callback"):
        _ = dnn.LambdaCallback


@pytest.mark.parametrize("join", [list, lambda parts: dict(zip("ab", parts, strict=True))])
def test_no_second_input(join):
    x, y = small_data()
    with input_error("x "):
        small_model().fit(join(np.hsplit(x, [2])), y)
