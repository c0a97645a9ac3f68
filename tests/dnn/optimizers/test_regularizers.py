"""L1 and L2 on the weights: value, gradient and update."""

import pytest
import torch
from helpers import assert_close, input_error, small_data, small_model

from dnn import SGD
from dnn.optimizers.regularizers import Penalty


def test_value_and_gradients_are_those_of_torch(make_backend):
    for name in ("numpy", "torch", "strict"):
        backend = make_backend(name, "float64")
        model = small_model(backend)
        host = {n: v + 0.1 for n, v in model.parameters.to_host().items()}  # biases start at 0
        host["dense_1.W"][0, 0] = 0.0  # the kink of L1
        model.parameters.load(host)
        penalty = Penalty(model.parameters, 0.3, 0.7)
        model.parameters.gradient_vector[...] = 1.0
        penalty.add_gradients()
        total = torch.zeros((), dtype=torch.float64)
        leaves = {n: torch.tensor(v, requires_grad=True) for n, v in host.items()}
        for n, leaf in leaves.items():
            if n.endswith("W"):
                total = total + 0.3 * leaf.abs().sum() + 0.7 * (leaf**2).sum()
        total.backward()
        assert float(backend.to_host(penalty.value())[0]) == pytest.approx(total.item(), rel=1e-12)
        for n, leaf in leaves.items():
            added = 0.0 if leaf.grad is None else leaf.grad.numpy()
            assert_close(
                backend.to_host(model.parameters.gradient_by_name[n]), 1.0 + added + 0 * host[n], 1e-12
            )


def test_l2_is_half_of_torchs_weight_decay_and_not_in_the_loss(backend):
    x, y = small_data()
    models = []
    for l2 in (0.0, 0.05):
        model = small_model(backend)
        model.compile(optimizer=SGD(0.1), l2=l2)
        before = model.parameters.to_host()
        history = model.fit(x, y, batch_size=50).history
        models.append((model.parameters.to_host(), history["loss"]))
    assert models[0][1] == models[1][1]
    for name, value in models[1][0].items():
        decay = 0.1 * 0.1 if name.endswith("W") else 0.0  # rate * 2 l2
        assert_close(value, (models[0][0][name] - decay * before[name]).astype("f4"), 1e-6)


@pytest.mark.parametrize("setting", ["l1", "l2"])
@pytest.mark.parametrize("value", [-1.0, "0.1"])
def test_rejects_invalid_arguments(setting, value):
    model = small_model(compiled=False)
    with input_error(f"{setting} is "):
        model.compile(**{setting: value})
    assert model.loss is None
