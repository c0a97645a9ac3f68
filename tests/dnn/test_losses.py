"""Losses by name, their errors, label smoothing and weights; tests of kernels are elsewhere."""

import numpy as np
import pytest
import torch
from helpers import (
    NUMPY64,
    assert_close,
    build_network,
    input_error,
    small_data,
    small_model,
    three_backends,
)

from dnn import (
    Activation,
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Dense,
    Dropout,
    Flatten,
    Hinge,
    LayerNormalization,
    MeanAbsoluteError,
    MeanSquaredError,
)
from dnn.checkpoints import load_model
from dnn.losses import Loss, get_loss

F = torch.nn.functional
ROWS = np.eye(3, dtype=np.float32)[np.arange(50) % 3]


@pytest.mark.parametrize(
    ("short", "name"), [("mse", MeanSquaredError), ("mae", MeanAbsoluteError), ("bce", BinaryCrossentropy)]
)
def test_short_names(short, name):
    assert get_loss(short) == name()
    assert get_loss(short).name == name.name


class Squares(Loss):
    """The squared error, with ``compute``."""

    name = "squares"

    def compute(self, xp, outputs, targets):
        apart = outputs - targets
        return xp.mean(apart**2, axis=1), 2.0 / apart.shape[1] * apart


@pytest.mark.parametrize("form", ["integer", "dense"])
def test_a_loss_without_a_kernel_has_the_gradient_of_the_mean(form):
    rng, backend = np.random.default_rng(1), NUMPY64
    outputs, found = rng.normal(size=(7, 3)), []
    targets = rng.integers(0, 3, 7) if form == "integer" else rng.random((7, 3))
    for loss in (Squares(), MeanSquaredError()):
        losses, gradient = np.zeros(7), np.zeros((7, 3))
        loss.bind(backend)(outputs, targets, losses, gradient)
        found.append((losses, gradient))
    for ours, kernels in zip(*found, strict=True):
        assert_close(ours, kernels, 1e-15)


def test_kinks_are_where_the_gradient_jumps():
    outputs, targets = np.array([[1.0, -1.0, 0.5]]), np.array([[1.0, 0.0, 1.0]])
    assert Hinge.kink(outputs, targets).tolist() == [[0.0, 0.0, 0.5]]
    assert MeanAbsoluteError.kink(outputs, targets).tolist() == [[0.0, -1.0, -0.5]]


# --------------------------------------------------------------------------- refused


@pytest.mark.parametrize("after", [Flatten(), Dropout(0.1), Activation("linear"), LayerNormalization()])
def test_the_activation_of_the_loss_must_be_last(after):
    layers = [Dense(4, "relu"), Dense(3, "softmax"), after]
    model = build_network(layers, (4,))
    if after.parameter_shapes():
        model.compile()  # something is trained after it: no oversight
    else:
        with input_error(r"'dense_2' ends in softmax and is followed by .*expected the reverse order"):
            model.compile()
    model.compile("mean_squared_error")


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_label_smoothing_out_of_range(smoothing):
    with input_error(r"label_smoothing is .*at least 0 and below 1"):
        CategoricalCrossentropy(label_smoothing=smoothing)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        ("sparse_categorical_crossentropy", ROWS, r"y has shape \(50, 3\), .*use y.argmax\(axis=1\)"),
        ("categorical_crossentropy", 2 * ROWS, "y holds values from 0 to 2, expected 0 to 1 .*class numbers"),
        ("categorical_crossentropy", -ROWS, "y holds values from -1 to 0"),
        ("binary_crossentropy", 2 * ROWS - 1, "y holds values from -1 to 1, .*use 0 for no and 1 for yes"),
        ("hinge", 3 * ROWS, "y holds values from 0 to 3, expected -1 to 1 .*use 0 and 1, or -1 and 1"),
    ],
)
def test_labels_that_do_not_fit(loss, y, message):
    model = small_model(output="linear", compiled=False)
    model.compile(loss)
    x, _ = small_data()
    with input_error(message):
        model.fit(x, y, batch_size=10)
    with input_error(message):
        model.evaluate(x, y)
    with input_error(r"validation_data\[1\] h(olds|as)"):
        model.fit(x, np.argmax(y, axis=1), batch_size=10, validation_data=(x, y))
    assert model.epochs_done == 0


# --------------------------------------------------------------------------- weights


# --------------------------------------------------------------------------- one output


@three_backends
@pytest.mark.parametrize("rows", [False, True])
def test_pos_weight_per_output_matches_torch(make_backend, backend_id, rows):
    backend, rng = make_backend(backend_id, "float64"), np.random.default_rng(3)
    z, targets = 30 * rng.normal(size=(9, 3)), rng.integers(0, 3, 9)
    z[0] = 800.0, -800.0, 0.0  # nothing overflows
    dense = rng.random((9, 3)) if rows else np.eye(3)[targets]
    loss = BinaryCrossentropy(pos_weight=(0.0, 1.0, 7.0))
    losses, gradient = backend.zeros(9), backend.zeros((9, 3))
    wanted = backend.from_host(dense if rows else targets)
    loss.bind(backend)(backend.from_host(z), wanted, losses, gradient)
    leaf = torch.tensor(z, requires_grad=True)
    weight = torch.tensor([0.0, 1.0, 7.0], dtype=torch.float64)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        leaf, torch.tensor(dense), pos_weight=weight, reduction="none"
    )
    each.mean().backward()
    # With weight 0 the loss of a yes is subtracted again, up to rounding.
    found = backend.to_host(losses)
    np.testing.assert_allclose(found, each.mean(1).detach().numpy(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(backend.to_host(gradient), leaf.grad.numpy(), rtol=1e-11, atol=1e-15)


def test_pos_weight_is_saved_and_validated(tmp_path):
    model = small_model(output="sigmoid", compiled=False)
    for bad in (-1.0, (1.0, np.nan, 1.0), "a", None):
        with input_error("pos_weight is "):
            BinaryCrossentropy(pos_weight=bad)
    with input_error("pos_weight has 2 numbers, expected 3, one for each output"):
        model.compile(BinaryCrossentropy(pos_weight=(1.0, 2.0)))
    model.compile(BinaryCrossentropy(pos_weight=[1.0, 2.0, 3.0]))
    model.save(tmp_path / "m.safetensors")
    assert load_model(tmp_path / "m.safetensors", model.backend).loss == BinaryCrossentropy((1.0, 2.0, 3.0))
