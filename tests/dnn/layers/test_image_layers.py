"""Conv2D, the poolings, Flatten and Reshape: shapes, wrong use, and a convolutional network that learns."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import (
    NUMPY,
    NUMPY64,
    assert_close,
    both_dtypes,
    build_network,
    input_error,
    no_reads_back,
    same_bits,
    weights,
)
from sklearn.datasets import load_digits

from dnn import (
    SGD,
    Adam,
    AveragePooling2D,
    BatchNormalization,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    MaxPooling2D,
    Reshape,
)
from dnn.layers import LAYERS
from dnn.training.loop import Batches
from dnn.training.step import gradients
from dnn.validation.examples import Examples


def build(*layers, shape=(28, 28, 1), backend=None):
    return build_network(list(layers), shape, backend or NUMPY)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2D(4, (3, 5), strides=(2, 1)), (9, 9, 2), (4, 5, 4)),
        (Conv2D(4, 3, strides=2, padding="same"), (7, 8, 1), (4, 4, 4)),
        (Conv2D(4, 3, padding=((2, 0), (1, 2))), (7, 8, 1), (7, 9, 4)),
        (Conv2D(4, 3, dilation=2, padding="same"), (9, 8, 2), (9, 8, 4)),
        (Conv1D(4, 3, padding=(2, 0)), (9, 2), (9, 4)),
        (MaxPooling2D(), (7, 8, 3), (3, 4, 3)),
        (MaxPooling2D(3, strides=2, padding=1, ceil_mode=True), (6, 7, 3), (4, 4, 3)),
        (AveragePooling2D(2, padding="same"), (7, 8, 3), (4, 4, 3)),
        (MaxPooling2D(2, strides=3, ceil_mode=True), (7, 9, 3), (3, 3, 3)),
        (Flatten(), (7, 8, 3), (168,)),
        (Reshape((4, -1)), (7, 8, 3), (4, 42)),
    ],
)
def test_shapes(layer, shape, expected):
    assert layer.shape_after(shape) == expected
    again = LAYERS[type(layer).__name__](**layer.config())
    assert again.config() == layer.config()
    assert again.shape_after(shape) == expected


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2D(0, 3), "filters is 0"),
        (lambda: Conv2D(4, 0), "kernel_size is 0"),
        (lambda: Conv2D(4, (3, 3, 3)), r"kernel_size is \(3, 3, 3\)"),
        (lambda: Conv2D(4, 3, "rleu"), "did you mean 'relu'"),
        (lambda: Conv2D(4, 3, padding="some"), "padding is 'some', expected one of valid, same.*'same'"),
        (lambda: Conv2D(4, 3, padding=3), r"padding is 3, expected less than kernel_size \(3, 3\)"),
        (lambda: Conv2D(4, 3, padding=-1), "padding is -1"),
        (lambda: Conv2D(4, 3, padding=((1, 2), 3)), r"padding is \(\(1, 2\), 3\), expected less"),
        (lambda: Conv2D(4, 3, groups=0), "groups is 0"),
        (lambda: Conv2D(4, 3, dilation=0), "dilation is 0"),
        (
            lambda: build(Conv2D(4, 3, groups=2)),
            "1 channels and 4 filters in 2 groups, expected multiples of groups",
        ),
        (lambda: build(Conv2D(3, 3, groups=2), shape=(9, 9, 2)), "2 channels and 3 filters in 2 groups"),
        (lambda: Conv2D(4, 3, use_bias=1), "use_bias is 1, expected True or False"),
        (lambda: Conv1D(4, (3, 3)), r"kernel_size is \(3, 3\)"),
        (lambda: Conv1D(4, 3, strides=0), "strides is 0"),
        (lambda: MaxPooling2D(2, strides=0.5), "strides is 0.5"),
        (lambda: Reshape(28), r"target_shape is 28, expected a tuple of lengths such as \(28, 28, 1\)"),
        (lambda: Reshape((-1, -1)), "at most one of them -1"),
        (lambda: Reshape((0, 3)), "target_shape is 0"),
    ],
)
def test_rejects_invalid_settings(make, message):
    with input_error(message):
        make()


@pytest.mark.parametrize(
    ("layers", "shape", "message"),
    [
        ([Dense(2)], (28, 28, 1), r"Dense\) got .*\(28, 28, 1\).*put Flatten\(\) before it"),
        ([Conv2D(2, 3)], (784,), r"\(784,\), expected images \(H, W, C\).*put Reshape\(\(H, W, C\)\)"),
        ([Conv1D(2, 3)], (28,), r"Conv1D\) got examples of shape \(28,\), expected sequences \(T, C\)"),
        ([Conv2D(2, 3)], (28, 28), r"expected images \(H, W, C\), channels last"),
        ([MaxPooling2D()], (28, 28), r"MaxPooling2D\) got examples of shape \(28, 28\)"),
        (
            [Conv2D(2, 5)],
            (4, 9, 1),
            r"4 x 9 pixels, expected at least its kernel_size \(5, 5\).*padding=.same",
        ),
        ([MaxPooling2D(2), MaxPooling2D(3)], (5, 5, 1), r"2 x 2 pixels.*pool_size \(3, 3\).*fewer layers"),
        ([Reshape((5, 5))], (24,), r"24 numbers, expected the number in \(5, 5\)"),
        ([Reshape((5, -1))], (24,), "24 numbers"),
        (
            [Conv2D(2, 3)],
            (28, 28, 1),
            r"returns shape \(26, 26, 2\), expected \(C,\); put Flatten\(\) and Dense",
        ),
    ],
)
def test_rejects_impossible_orders_and_names_the_cure(layers, shape, message):
    with input_error(message):
        build(*layers, shape=shape)


def small_network(backend, seed=0):
    layers = [
        Reshape((8, 8, 1)),
        Conv2D(6, 3, "relu"),
        MaxPooling2D(2),
        Conv2D(8, 2, padding="same"),
        BatchNormalization(),
        AveragePooling2D(2, padding="same"),
        Dropout(0.1),
        Flatten(),
        Dense(10, "softmax"),
    ]
    model = build_network(layers, (64,), backend, seed)
    model.compile(optimizer=Adam(0.02))
    return model


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y


@pytest.mark.parametrize("backend_id", ["numpy", "numba", "torch", "strict:device1", "cupy", "torch:cuda"])
def test_a_convolutional_network_learns_the_digits(make_backend, backend_id, digits):
    x, y = digits
    model = small_network(make_backend(backend_id))
    before = model.evaluate(x[500:1000], y[500:1000])
    history = model.fit(x[:500], y[:500], batch_size=25, epochs=4, validation_data=(x[500:1000], y[500:1000]))
    assert history.history["val_loss"][-1] < 0.6 * before.loss
    assert history.history["val_accuracy"][-1] > 0.7


def test_the_last_shorter_batch_is_like_any_other(backend, digits):
    """Views of larger buffers give the same result as separate buffers."""
    x, y = digits[0][:23], digits[1][:23]
    models = [small_network(backend) for _ in range(2)]
    models[0].reserve(20, training=True)
    for model in models:
        model.reserve(3, training=True)
        batch, targets = backend.from_host(x[:3].copy()), backend.from_host(y[:3].copy())
        gradients(model, batch, targets)
    assert same_bits(*(backend.to_host(m.parameters.gradient_vector).copy() for m in models))


@pytest.mark.parametrize("backend_id", ["numpy", "torch", "strict"])
@pytest.mark.parametrize("padding", [((2, 0), (0, 1)), ((0, 1), 2)])
def test_padding_of_each_side_is_an_image_with_a_border(make_backend, backend_id, padding):
    (top, bottom), right = padding[0], padding[1] if isinstance(padding[1], tuple) else (padding[1],) * 2
    rng, backend = np.random.default_rng(0), make_backend(backend_id, "float64")
    x = rng.normal(size=(3, 5, 6, 2))
    wide = np.pad(x, ((0, 0), (top, bottom), right, (0, 0)))
    found = []
    for image, border in ((x, padding), (wide, "valid")):
        model = build(
            Conv2D(3, 3, "tanh", padding=border), Flatten(), Dense(4), shape=image.shape[1:], backend=backend
        )
        model.compile("mean_squared_error", SGD(0.1))
        model.fit(image, np.ones((3, 4)), batch_size=3, epochs=2)
        found.append(weights(model))
    assert_close(*found, 1e-13)


def test_a_causal_convolution_ignores_the_future():
    layer = Conv1D(3, 3, padding=(2, 0))
    build(layer, Flatten(), Dense(1), shape=(9, 2)).reserve(1, training=False)
    x = np.random.default_rng(0).normal(size=(1, 9, 2)).astype(np.float32)
    before = layer.forward(x, training=False).copy()
    x[:, 5:] = 7.0
    after = layer.forward(x, training=False)
    assert same_bits(after[:, :5], before[:, :5])
    assert not same_bits(after[:, 5:], before[:, 5:])


@both_dtypes
@pytest.mark.parametrize("backend_id", ["numpy", "numba", "torch", "strict", "cupy", "torch:cuda"])
def test_one_filter_and_a_last_batch_of_one(make_backend, backend_id, dtype, digits):
    """21 examples in batches of 10, and a 1 x 1 kernel; the weights are compared with NumPy in float64."""
    x, y = digits[0][:21], digits[1][:21]

    def trained(backend):
        layers = [Reshape((8, 8, 1)), Conv2D(3, 3, "relu"), Conv2D(1, 2, strides=(2, 1), padding="same")]
        layers += [Conv2D(1, 1), BatchNormalization(), MaxPooling2D(2), Flatten(), Dense(10, "softmax")]
        model = build_network(layers, (64,), backend, 4)
        model.compile(optimizer=SGD(0.1))
        model.fit(x.astype(backend.dtype_name), y, batch_size=10)
        return weights(model)

    found, expected = trained(make_backend(backend_id, dtype)), trained(NUMPY64)
    assert_close(found.astype(np.float64), expected, 1e-5 if dtype == "float32" else 1e-12)


def test_no_gradient_before_the_first_trained_layer():
    model = small_network(NUMPY)
    model.reserve(4, training=True)
    assert model.layers[1]._buffers[4].dx is None
    assert model.layers[3]._buffers[4].dx is not None


def test_a_step_reads_nothing_back(monkeypatch, make_backend, digits):
    """Convolution, pooling, running averages and masks need no number on the host."""
    backend = make_backend("strict:device1", fused=False)
    model = small_network(backend)
    x, y = (backend.from_host(a[:20].copy()) for a in digits)
    plan = Batches(model, Examples(x, y, None), 10)
    (step, _) = plan._parts[0]
    before = weights(model)

    with no_reads_back(monkeypatch, backend):
        step()
        step()
    assert not same_bits(weights(model), before)


def test_summary_lists_images_and_state(capsys):
    model = small_network(NUMPY)
    model.summary()
    lines = capsys.readouterr().out.splitlines()
    assert "conv2d_1 (Conv2D, relu)" in lines[2]
    assert "('batch', 6, 6, 6)" in lines[2]
    assert lines[2].split()[-1] == "60"
    assert "max_pooling2d_1 (MaxPooling2D)" in lines[3]
    assert lines[-2].split() == ["total", f"{model.parameters.count:,}"]
    assert lines[-1].split()[-1] == "17"  # running mean and variance of 8 channels, one step of dropout
