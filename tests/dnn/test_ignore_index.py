"""ignore_index: examples without a label have no loss, no gradient and no part in metrics."""

import numpy as np
import pytest
from helpers import NUMPY, NUMPY64, build_network, input_error, same_bits, small_data, weights

from dnn import LBFGS, SGD, CategoricalCrossentropy, Dense, LayerNormalization, fit_lbfgs
from dnn import SparseCategoricalCrossentropy as Sparse

N = 37


def data(ignored=-100):
    """Return (x, y, mask of the rows that count); a third of the labels are the ignored one."""
    x, y = small_data(N)
    if ignored not in (0, 1, 2):
        y = np.where(np.arange(N) % 3 == 1, ignored, y)
    return x, y, y != ignored


def small(backend, loss, **options):
    layers = [Dense(5, "tanh"), LayerNormalization(), Dense(3, "softmax")]
    model = build_network(layers, backend=backend, seed=1)
    model.compile(loss, SGD(0.2), **options)
    return model


@pytest.mark.parametrize("options", [{}, {"class_weight": {0: 2.0, 2: 0.5}}, {"class_weight": "balanced"},
                                     {"sample_weight": np.linspace(0.0, 2.0, N)}])  # fmt: skip
@pytest.mark.parametrize(("ignored", "smoothing"), [(-100, 0.0), (255, 0.2), (2, 0.2)])
def test_ignored_examples_have_no_effect(backend, options, ignored, smoothing):
    """In one batch, with the usual weights and all metrics."""
    x, y, counts = data(ignored)
    metrics = ("accuracy", "mae", "mse", "r2", label, mean_output)
    losses = Sparse(smoothing, ignored), Sparse(smoothing)
    model, other = (small(backend, loss, metrics=metrics) for loss in losses)
    left = {k: v[counts] if k == "sample_weight" else v for k, v in options.items()}
    ours = model.fit(x, y, batch_size=N, epochs=3, shuffle=False, **options).history
    theirs = other.fit(x[counts], y[counts], batch_size=N, epochs=3, shuffle=False, **left).history
    for name in ("loss", "accuracy", "mean_absolute_error", "mean_squared_error", "r2", "label"):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=2e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(ours["mean_output"], [1 / 3] * 3, rtol=1e-5)
    np.testing.assert_allclose(weights(model), weights(other), rtol=1e-4, atol=1e-6)
    found = model.evaluate(x, y, batch_size=5)  # some batches have few examples that count
    np.testing.assert_allclose(found, other.evaluate(x[counts], y[counts]), rtol=2e-5, atol=1e-6)


def label(y, outputs):
    """One number per example, -100 for ignored ones."""
    return y


def mean_output(y, outputs):
    return outputs.mean() if hasattr(outputs, "mean") else 1 / 3


def test_a_batch_of_a_stream_without_labels_changes_nothing(backend):
    x, y, _ = data()
    y[10:20] = -100
    model = small(backend, Sparse(ignore_index=-100))
    before = weights(model)
    history = model.fit([(x[10:20], y[10:20])], validation_data=(x, y)).history
    assert same_bits(weights(model), before)
    assert (history["loss"], history["accuracy"]) == ([0.0], [0.0])


def test_rows_of_probabilities_have_no_label_to_ignore(backend):
    x, y = small_data(N)
    rows = np.eye(3, dtype=np.float32)[y]
    found = [small(backend, CategoricalCrossentropy(ignore_index=i)) for i in (0, None)]
    histories = [m.fit(x, rows, batch_size=10, class_weight="balanced").history for m in found]
    assert histories[0]["accuracy"] == histories[1]["accuracy"]
    assert same_bits(*(weights(m) for m in found))


@pytest.mark.parametrize("bad", [True, 1.0, "a", 2**63, (1,)])
def test_rejects_invalid_class_numbers(bad):
    with input_error(r"ignore_index is .*, expected an integer"):
        Sparse(ignore_index=bad)


def test_rejects_invalid_arguments():
    x, y, _ = data()
    model = small(NUMPY, Sparse(ignore_index=-1))
    with input_error(r"numbers from -100 to 2, expected 0 to 2 .* 3 outputs"):
        model.fit(x, y)
    nothing = np.full(N, -1)
    for call in (lambda: model.fit(x, nothing), lambda: model.evaluate(x, nothing)):
        with input_error("the weights are all 0, expected at least one above 0"):
            call()
    ignoring = np.where(y == -100, -1, y)
    usual = small(NUMPY, Sparse())
    with input_error(r"class numbers from -1 to 2, expected 0 to 2 .* 3 outputs; "):
        usual.fit(x, ignoring)


@pytest.mark.parametrize("chunk_size", [1, N])
def test_lbfgs_ignores_them_too(chunk_size):
    x, y, counts = data()
    one, other = small(NUMPY64, Sparse(ignore_index=-100)), small(NUMPY64, Sparse())
    ignoring = fit_lbfgs(one, x, y, chunk_size=chunk_size, settings=LBFGS(max_iterations=5))
    without = fit_lbfgs(other, x[counts], y[counts], settings=LBFGS(max_iterations=5))
    np.testing.assert_allclose(ignoring.point, without.point, rtol=1e-9)
