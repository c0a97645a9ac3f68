"""``gradients``, ``update`` and ``train_on_batch``: loops of one's own, with the numbers of ``fit``."""

import numpy as np
import pytest
import torch
from helpers import assert_close, build_network, input_error, small_data, small_model, weights

from dnn import Dense, Dropout, Rescaling


def test_gradients_are_those_of_torch(backend):
    x, y = small_data()
    model = small_model(backend)
    model.compile(l2=0.01)
    weight = np.linspace(0, 2, 50)
    loss, gradients = model.gradients(x, y, weight)
    tensors = {
        name: torch.tensor(array, requires_grad=True) for name, array in model.parameters.to_host().items()
    }
    hidden = torch.relu(torch.tensor(x) @ tensors["dense_1.W"] + tensors["dense_1.b"])
    logits = hidden @ tensors["dense_2.W"] + tensors["dense_2.b"]
    each = torch.nn.functional.cross_entropy(logits, torch.tensor(y), reduction="none")
    expected = (each * torch.tensor(weight)).sum() / weight.sum()
    penalty = 0.01 * sum((tensors[name] ** 2).sum() for name in ("dense_1.W", "dense_2.W"))
    (expected + penalty).backward()
    assert loss == pytest.approx(expected.item(), rel=1e-6)
    model.gradients(x[:9], y[:9])  # those above are copies
    assert set(gradients) == set(tensors)
    for name, gradient in gradients.items():
        assert_close(gradient, tensors[name].grad.numpy(), 1e-5, name)


def test_train_on_batch_has_the_numbers_of_fit(backend, capsys):
    x, y = small_data()
    options = {"sample_weight": np.linspace(0, 2, 50), "class_weight": {0: 3.0}}
    layers = [[Rescaling(0.5), Dense(8, "relu"), Dropout(0.5), Dense(3, "softmax")] for _ in range(2)]
    model, fitted = (build_network(each, backend=backend) for each in layers)
    model.compile()
    fitted.compile()
    history = fitted.fit(x, y, batch_size=50, epochs=3, shuffle=False, verbose=0, **options).history
    found = [model.train_on_batch(x, y, **options) for _ in range(3)]
    assert_close(weights(model), weights(fitted), 1e-5)
    for i, (loss, accuracy) in enumerate(found):
        assert loss == pytest.approx(history["loss"][i], rel=1e-5)
        assert accuracy == pytest.approx(history["accuracy"][i])
    assert model.epochs_done == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["gradients", "train_on_batch"])
def test_arguments_are_checked(name):
    call = getattr(small_model(), name)
    x, y = small_data()
    with input_error("x has shape"):
        call(x[:, :5], y)
    with input_error("y has shape"):
        call(x, y[:49])
    with input_error("no loss yet"):
        getattr(small_model(compiled=False), name)(x, y)
