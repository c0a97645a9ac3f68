"""What is measured beside the loss: natural for each loss, and what metrics= asks for."""

import numpy as np
import pytest
from helpers import small_data

from backends import InputError, get_backend
from dnn import SGD, Dense, Sequential


def fitted(outputs, last, loss, y, backend, **options):
    model = Sequential([Dense(outputs, last)], input_shape=(6,), backend=backend, seed=1)
    model.compile(loss, SGD(0.1), **options)
    x, _ = small_data()
    history = model.fit(x, y, batch_size=10, epochs=2, validation_data=(x, y)).history
    return model.predict(x), model.evaluate(x, y), history


def test_a_multi_label_model_is_judged_output_by_output(backend):
    x, _ = small_data()
    y = (x[:, :4] > 0).astype(np.float32)
    p, found, history = fitted(4, "sigmoid", "binary_crossentropy", y, backend)
    assert found.accuracy == pytest.approx(np.mean((p > 0.5) == (y > 0.5)), rel=1e-6)
    assert history["val_accuracy"][-1] == pytest.approx(found.accuracy)
    assert found.accuracy != pytest.approx(np.mean(p.argmax(1) == y.argmax(1)), abs=1e-3)


def test_a_regression_reports_the_mean_absolute_error_and_no_accuracy(backend):
    x, _ = small_data()
    y = x[:, :2] * np.float32(3)
    p, found, history = fitted(2, "linear", "mean_squared_error", y, backend)
    assert set(history) == {
        "loss", "mean_absolute_error", "seconds", "val_loss", "val_mean_absolute_error"
    }  # fmt: skip
    assert found.mean_absolute_error == pytest.approx(np.mean(np.abs(p - y)), rel=1e-5)
    with pytest.raises(AttributeError, match="accuracy was not measured"):
        found.accuracy  # noqa: B018
    assert repr(found).startswith("Evaluation(loss=")


def test_squared_error_on_class_numbers_is_still_a_classification():
    _, y = small_data()
    _, found, history = fitted(3, "softmax", "mean_squared_error", y, get_backend("numpy"))
    assert "accuracy" in history
    assert tuple(found) == (found.loss, found.accuracy)


def test_metrics_say_what_is_measured():
    _, y = small_data()
    backend = get_backend("numpy")
    _, found, history = fitted(3, "softmax", "categorical_crossentropy", y, backend, metrics=())
    assert set(history) == {"loss", "val_loss", "seconds"}
    assert len(found) == 1
    x, _ = small_data()
    _, found, _ = fitted(1, "linear", "mean_squared_error", x[:, 0], backend, metrics=("accuracy",))
    assert 0 <= found.accuracy <= 1
    for metrics, words in ((("acuracy",), "did you mean"), (("mean_absolute_error",), "expected")):
        with pytest.raises(InputError, match=words):
            fitted(3, "softmax", "categorical_crossentropy", y, backend, metrics=metrics)
