"""Conv2D, the poolings, Flatten and Reshape: shapes, wrong use, and a convolutional network that learns."""

import numpy as np
import pytest
from helpers import NUMPY, NUMPY64, assert_close, both_dtypes, build_network, input_error, weights
from sklearn.datasets import load_digits

from dnn import SGD, BatchNormalization, Conv1D, Conv2D, Dense, Flatten, MaxPooling2D, Reshape
from dnn.layers import LAYERS


def build(*layers, shape=(28, 28, 1), backend=None):
    return build_network(list(layers), shape, backend or NUMPY)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (Conv2D(4, (3, 5), strides=(2, 1), dilation=2, padding="same"), (9, 9, 2), (5, 9, 4)),
        (MaxPooling2D(3, strides=2, padding=1, ceil_mode=True), (6, 7, 3), (4, 4, 3)),
        (MaxPooling2D(2, strides=3, ceil_mode=True), (7, 9, 3), (3, 3, 3)),
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
        (lambda: Conv2D(4, 3, padding="some"), "padding is 'some', expected one of valid, same.*'same'"),
        (lambda: Conv2D(4, 3, padding=3), r"padding is .*, expected less than kernel_size \(3, 3\)"),
        (lambda: Conv2D(4, 3, padding=-1), "padding is -1"),
        (lambda: Conv2D(4, 3, padding=((1, 2), 3)), r"padding is .*, expected less"),
        (lambda: Conv2D(4, 3, groups=0), "groups is 0"),
        (lambda: Conv2D(4, 3, dilation=0), "dilation is 0"),
        (
            lambda: build(Conv2D(4, 3, groups=2)),
            "1 channels and 4 filters in 2 groups, expected multiples of groups",
        ),
        (lambda: build(Conv2D(3, 3, groups=2), shape=(9, 9, 2)), "2 channels and 3 filters in 2 groups"),
        (lambda: Conv1D(4, (3, 3)), r"kernel_size is \(3, 3\)"),
        (lambda: Conv1D(4, 3, strides=0), "strides is 0"),
        (lambda: MaxPooling2D(2, strides=0.5), "strides is 0.5"),
        (lambda: Reshape(28), "target_shape is 28, expected a list or a tuple"),
        (lambda: Reshape((-1, -1)), "at most one of them -1"),
        (lambda: Reshape((0, 3)), r"target_shape is \(0, 3\)"),
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
            r"\(4, 9\) pixels, expected at least its kernel_size \(5, 5\).*padding=.same",
        ),
        ([MaxPooling2D(2), MaxPooling2D(3)], (5, 5, 1), r"\(2, 2\) pixels.*pool_size \(3, 3\).*fewer layers"),
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


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return (x / 16).astype(np.float32), y


@pytest.mark.parametrize(
    ("layer", "padding", "shape", "border"),
    [
        (Conv2D, ((2, 0), (0, 1)), (5, 6, 2), [(2, 0), (0, 1)]),
        (Conv2D, ((0, 1), 2), (5, 6, 2), [(0, 1), (2, 2)]),
        (Conv1D, (2, 0), (9, 2), [(2, 0)]),
    ],
)
def test_padding_of_each_side_is_a_border_of_zeros(layer, padding, shape, border):
    x = np.random.default_rng(0).normal(size=(3, *shape))
    wide = np.pad(x, [(0, 0), *border, (0, 0)])
    padded = build(layer(3, 3, padding=padding), Flatten(), shape=shape, backend=NUMPY64)
    plain = build(layer(3, 3), Flatten(), shape=wide.shape[1:], backend=NUMPY64)
    np.testing.assert_allclose(padded.predict(x), plain.predict(wide), rtol=1e-12)


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
