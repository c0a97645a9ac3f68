"""Features that docs/guide/parts.md calls unsupported: the error, and what the page recommends instead.

The test of a feature fails as soon as the feature exists, so that the page is updated.
"""

import re

import numpy as np
import pytest
from helpers import build_network, input_error, small_data, small_model
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import OneHotEncoder

import backends
import dnn
from backends import BackendUnavailable, get_backend
from dnn import Dense, Layer
from dnn.layers import LAYERS
from dnn.metrics import METRICS


def test_no_layer_is_shared():
    layer = Dense(3)
    with input_error("expected a new layer for each place"):
        build_network([layer, layer], (3,))
    assert build_network([Dense(3), Dense(3)], (3,)).parameters.count == 24


def test_no_other_methods_of_keras():
    model = small_model()
    assert not any(hasattr(model, name) for name in ("add", "test_on_batch"))
    with input_error(r"expected model.predict\(x\)"):
        model(small_data()[0])
    with input_error("expected a subclass of Callback"):
        _ = dnn.LambdaCallback
    assert issubclass(type("Mine", (dnn.Callback,), {}), dnn.Callback)


def test_no_assignment_to_the_learning_rate():
    model = small_model()
    with input_error(r"expected model\.compile"):
        model.optimizer.learning_rate = 0.1
    model.compile(model.loss, dnn.Adam(learning_rate=0.1))
    assert model.optimizer.learning_rate == 0.1


def test_no_encoding_of_text_columns():
    x, y = np.asarray([["ash", "red"], ["elm", "red"], ["ash", "blue"]] * 10), np.arange(30) % 3
    encoded = OneHotEncoder().fit_transform(x)
    models = [build_network([Dense(3, "softmax")], (n,)) for n in (2, 4)]
    for model in models:
        model.compile()
    with input_error("x has dtype <U4"):
        models[0].fit(x, y)
    losses = models[1].fit(encoded, y, epochs=5).history["loss"]
    assert losses[-1] < losses[0]


def test_no_second_input():
    assert not {"Model", "Functional", "Concatenate"} & set(dir(dnn))
    (x, y), model = small_data(), small_model()
    for both in ([x[:, :2], x[:, 2:]], {"a": x[:, :2], "b": x[:, 2:]}):
        with input_error("x "):
            model.fit(both, y)
    model.fit(np.concatenate([x[:, :2], x[:, 2:]], axis=1), y)


def test_no_recurrent_or_attention_layers():
    """There are no layers with the names of Keras's recurrent and attention layers."""
    names = " ".join(LAYERS).lower()
    assert not re.findall("rnn|lstm|gru|recurrent|attention|transformer", names)
    assert "LSTM" not in dir(dnn)


def test_no_autograd():
    assert not {"grad", "value_and_grad", "vjp", "GradientTape"} & {*dir(dnn), *dir(backends)}
    for layer_class in LAYERS.values():
        assert layer_class.backward is not Layer.backward


def test_no_half_precision():
    for dtype in ("float16", "bfloat16"):
        with input_error(f"dtype is '{dtype}', expected one of float32, float64"):
            get_backend("torch", dtype=dtype)
    with pytest.raises(BackendUnavailable, match="precision 'tf32' needs a CUDA device"):
        get_backend("torch", precision="tf32")


def test_no_confusion_matrix():
    assert not re.findall("confusion|precision|recall|top", " ".join(METRICS))
    assert not {"confusion_matrix", "precision", "recall", "top_k_accuracy"} & {*dir(dnn), *dir(dnn.metrics)}
    (x, y), model = small_data(), small_model()
    model.fit(x, y, batch_size=10, epochs=20)
    counts = confusion_matrix(y, model.predict(x).argmax(axis=1))
    assert counts.trace() / counts.sum() == pytest.approx(model.evaluate(x, y).accuracy)
