"""The gradient of the loss with respect to the examples is that of torch's autograd."""

import numpy as np
import pytest
import torch
from helpers import NUMPY, assert_close, build_network, fit_small, input_error, same_bits, small_data, weights
from scipy.sparse import csr_matrix

from dnn import (
    ELU,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    CategoricalCrossentropy,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    Parallel,
    RandomTranslation,
    Rescaling,
    Reshape,
    Residual,
)
from dnn.interop.torch import to_torch, torch_loss

BOUND = 2e-5
NETWORKS = {
    "dense": lambda: [Dense(8, "relu"), Dropout(0.5), BatchNormalization(), Dense(3, "softmax")],
    "dropout first": lambda: [Dropout(0.5), Dense(5, "gelu", trainable=False), Dense(3, "softmax")],
    "normalised": lambda: [BatchNormalization(), LayerNormalization(), ELU(), Dense(3, "softmax")],
    "activated": lambda: [Activation("tanh"), Dense(3), Activation("softmax")],
    "branches": lambda: [
        Parallel([Dense(4, "tanh"), [Dropout(0.5), Residual([Dense(6), Dropout(0.3)])]]),
        Dense(3, "softmax"),
    ],
    "images": lambda: [
        Rescaling(0.25), Reshape((3, 2, 1)), RandomTranslation(1), Conv2D(4, 3, "relu", padding="same"),
        Residual([Conv2D(4, 3, padding=1), BatchNormalization(), Activation("relu"), Dropout(0.5)]),
        MaxPooling2D(2, strides=1), Flatten(), Dense(3, "softmax"),
    ],
    "pooling first": lambda: [
        Reshape((2, 3, 1)), AveragePooling2D((1, 2), strides=1), Flatten(),
        Dense(3, "elu"),
    ],
}  # fmt: skip


def trained(make, backend, loss="categorical_crossentropy"):
    model = build_network(make(), backend=backend, seed=4)
    model.compile(loss)
    fit_small(model, epochs=2)
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_that_of_autograd(name, backend):
    x, y = small_data(20)
    loss = "mse" if name == "pooling first" else "categorical_crossentropy"
    model = trained(NETWORKS[name], backend, loss)
    module = to_torch(model, "cpu").eval()
    leaf = torch.tensor(x, requires_grad=True)
    criterion = torch_loss(model.objective)
    sum(criterion(module(leaf[i : i + 1]), torch.tensor(y[i : i + 1])) for i in range(20)).backward()
    found = model.input_gradient(x, y, batch_size=7)
    assert type(found) is np.ndarray
    assert_close(found, leaf.grad.numpy(), BOUND)


def test_training_has_the_same_bits_after_it(backend):
    x, y = small_data()
    model, wanted = (trained(NETWORKS["images"], backend) for _ in range(2))
    model.input_gradient(x, y)
    assert same_bits(weights(model), weights(wanted))
    for each in (model, wanted):
        each.fit(x, y, batch_size=10)
    assert same_bits(weights(model), weights(wanted))


class Square(Layer):
    """y = x^2, a layer of a user, not registered."""

    def forward(self, x, *, training):
        self.x = x
        return x * x

    def backward(self, dy):
        return 2.0 * self.x * dy


def test_examples_of_every_kind(backend):
    """Bytes and sparse matrices, noise, one output and a layer of a user: dx = 2 (y - t) (2 x) W."""
    model = build_network([Square(), GaussianNoise(0.5), Dense(1)], (4,), backend)
    model.compile("mse")
    x = np.random.default_rng(0).integers(0, 9, (6, 4)).astype("uint8")
    t = np.arange(6.0)
    W = model.parameters.to_host()["dense_1.W"]
    wanted = (4 * ((x.astype("float32") ** 2 @ W)[:, 0] - t)[:, None] * x * W[:, 0]).astype("float32")
    assert_close(model.input_gradient(x, t), wanted, BOUND)
    assert_close(model.input_gradient(csr_matrix(x), t), wanted, BOUND)


def test_sparse_examples(backend):
    x, y = small_data()
    x[np.random.default_rng(1).random(x.shape) < 0.9] = 0
    model = trained(lambda: [Rescaling(2.0), Dense(5, "relu"), Dense(3, "softmax")], backend)
    assert_close(model.input_gradient(csr_matrix(x), y), model.input_gradient(x, y), 1e-6)


def test_ignored_examples_have_no_gradient():
    x, y = small_data()
    loss = CategoricalCrossentropy(ignore_index=2)
    found = trained(NETWORKS["normalised"], NUMPY, loss).input_gradient(x, y)
    assert (np.any(found, axis=1) == (y != 2)).all()


def test_what_has_none():
    x, y = small_data()
    model = build_network([Dense(3)])
    with input_error("no loss yet"):
        model.input_gradient(x, y)
    model.compile("mse")
    with input_error("x has shape"):
        model.input_gradient(x[:, :2], y)
    words = build_network([Embedding(5, 2), Flatten(), Dense(3, "softmax")])
    words.compile()
    with input_error("no gradient of x, expected .* Embedding"):
        words.input_gradient(np.ones((4, 6), int), [0, 1, 2, 0])
