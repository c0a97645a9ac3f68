"""Errors of features that docs/guide/parts.md calls unsupported."""

import numpy as np
import pytest
from helpers import build_network, input_error, small_data, small_model

import dnn
from dnn import Dense


def test_no_layer_is_shared():
    layer = Dense(3)
    with input_error("expected a new layer for each place"):
        build_network([layer, layer], (3,))


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
