"""Comparison with independent implementations: torch and SciPy."""

import numpy as np
import pytest
import scipy.special
import torch
from helpers import NOT_IN_TORCH, assert_listed, others_slow

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn import OPTIMIZERS, SGD, Activation, Adagrad, Adam, AdamW, RMSprop
from dnn.agreement import get_contender
from dnn.agreement.cases import loss_variants
from dnn.parameters import Parameters


def mean_loss(backend, loss, outputs, targets):
    """Return the mean loss as a float, and its gradient on the host."""
    losses, gradient = backend.zeros(len(outputs)), backend.zeros(outputs.shape)
    loss.bind(backend)(backend.from_host(outputs), backend.from_host(targets), losses, gradient)
    return float(backend.xp.mean(losses)), backend.to_host(gradient)


F = torch.nn.functional
TORCH = {
    "linear": lambda z: z * 1.0,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "softmax": lambda z: F.softmax(z, dim=-1),
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "softplus": lambda z: F.softplus(z, threshold=40.0),
}
SCIPY = {
    "sigmoid": scipy.special.expit,
    "softplus": lambda z: np.logaddexp(0.0, z),
    "softmax": lambda z: scipy.special.softmax(z, axis=-1),
}
TORCH_LOSSES = {
    "categorical_crossentropy": lambda o, targets, dense: F.cross_entropy(o, targets),
    "sparse_categorical_crossentropy": lambda o, targets, dense: F.cross_entropy(o, targets),
    "categorical_crossentropy label_smoothing": lambda o, targets, dense: F.cross_entropy(
        o, targets, label_smoothing=0.1
    ),
    "binary_crossentropy": lambda o, targets, dense: F.binary_cross_entropy_with_logits(o, dense),
    "binary_crossentropy pos_weight": lambda o, targets, dense: F.binary_cross_entropy_with_logits(
        o, dense, pos_weight=torch.tensor(2.5)
    ),
    "mean_squared_error": lambda o, targets, dense: F.mse_loss(o, dense),
    "mean_absolute_error": lambda o, targets, dense: F.l1_loss(o, dense),
    "hinge": lambda o, targets, dense: F.hinge_embedding_loss(
        o * torch.where(dense > 0, 1.0, -1.0), -torch.ones_like(dense)
    ),
}
"""Variant of a loss -> function of outputs (B, C), targets as they are, and targets as rows (B, C)."""
each_double = pytest.mark.parametrize(
    "backend_name", others_slow(["numpy", "torch", "strict"], ["numpy", "torch"])
)


@each_double
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_activations_are_those_of_torch_functional_and_scipy(backend_name, kind):
    stream = np.random.default_rng(8)
    z, dy = 3 * stream.standard_normal((20, 7)), stream.standard_normal((20, 7))
    contender = get_contender(backend_name).in_dtype("float64")
    found = contender.run_layer(Activation(kind), z.shape[1:], {}, [(z, dy.copy())])
    y, dz = found["y"], found["dx"]
    z_ = torch.tensor(z, requires_grad=True)
    assert kind in TORCH, f"add {kind} to TORCH in tests/dnn/test_outsiders.py"
    y_ = TORCH[kind](z_)
    y_.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, y_.detach().numpy(), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(dz, z_.grad.numpy(), rtol=1e-12, atol=1e-14)
    if kind in SCIPY:
        np.testing.assert_allclose(y, SCIPY[kind](z), rtol=1e-12)


@each_double
@pytest.mark.parametrize("rows", [False, True])
def test_losses_are_those_of_torch_functional(backend_name, rows):
    stream = np.random.default_rng(9)
    outputs, targets = 3 * stream.standard_normal((20, 7)), stream.integers(0, 7, 20)
    dense = np.eye(7)[targets]
    if rows:
        targets = dense = stream.dirichlet(np.ones(7), 20)
    variants = dict(loss_variants())
    assert_listed("TORCH_LOSSES in tests/dnn/test_outsiders.py", TORCH_LOSSES, variants)
    wanted = torch.tensor(targets), torch.tensor(dense)
    for name, function in TORCH_LOSSES.items():
        contender = get_contender(backend_name).in_dtype("float64")
        value, gradient = mean_loss(contender.backend, variants[name], outputs, targets)
        outputs_ = torch.tensor(outputs, requires_grad=True)
        value_ = function(outputs_, *wanted)
        value_.backward()
        assert value == pytest.approx(float(value_.detach()), rel=1e-12)
        np.testing.assert_allclose(gradient, outputs_.grad.numpy(), rtol=1e-12, atol=1e-15)


TORCH_OPTIMIZERS = [
    (SGD(0.1), lambda p: torch.optim.SGD(p, 0.1)),
    (SGD(0.1, 0.9), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)),
    (SGD(0.1, 0.9, True), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True)),
    (Adam(0.01), lambda p: torch.optim.Adam(p, 0.01)),
    (AdamW(0.01), lambda p: torch.optim.AdamW(p, 0.01)),
    (AdamW(0.01, weight_decay=0.5), lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.5)),
    (Adagrad(), lambda p: torch.optim.Adagrad(p)),
    (Adagrad(0.1), lambda p: torch.optim.Adagrad(p, 0.1)),
    (RMSprop(), lambda p: torch.optim.RMSprop(p)),
    (RMSprop(0.01, 0.9, 1e-3, 0.7), lambda p: torch.optim.RMSprop(p, 0.01, 0.9, 1e-3, momentum=0.7)),
    (RMSprop(0.01, centered=True), lambda p: torch.optim.RMSprop(p, 0.01, centered=True)),
    (
        RMSprop(0.01, 0.9, 1e-3, 0.7, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.01, 0.9, 1e-3, momentum=0.7, centered=True),
    ),
    (Adam(0.01, amsgrad=True), lambda p: torch.optim.Adam(p, 0.01, amsgrad=True)),
    (AdamW(0.01, amsgrad=True), lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True)),
    (Adam(0.01, 0.8, 0.9, 1e-3), lambda p: torch.optim.Adam(p, 0.01, (0.8, 0.9), 1e-3)),
]
"""Optimizer -> function of the parameters that returns torch's."""


def test_every_optimizer_of_torch_is_compared():
    where = "TORCH_OPTIMIZERS in tests/dnn/test_outsiders.py, or to NOT_IN_TORCH in tests/helpers.py"
    listed = {ours.name for ours, _ in TORCH_OPTIMIZERS} | (NOT_IN_TORCH & {*OPTIMIZERS})
    assert_listed(where, listed, OPTIMIZERS)


@each_double
@pytest.mark.parametrize(("ours", "theirs"), TORCH_OPTIMIZERS)
def test_optimizers_are_those_of_torch_optim(backend_name, ours, theirs):
    from dnn.optimizers import OptimizerState

    stream, backend = np.random.default_rng(10), get_backend(backend_name, dtype="float64")
    parameters = Parameters(backend, {"p": (30,)})
    start = stream.standard_normal(30)
    parameters.load({"p": start})
    state = OptimizerState(ours, parameters, backend)
    p_ = torch.nn.Parameter(torch.tensor(start))
    optimizer = theirs([p_])
    for _ in range(100):
        g = stream.standard_normal(30) * 10.0 ** stream.integers(-6, 2, 30)
        parameters.gradient_by_name["p"][...] = backend.from_host(g)
        state.step()
        p_.grad = torch.tensor(g)
        optimizer.step()
    moved = np.linalg.norm(p_.detach().numpy() - start)
    assert np.linalg.norm(parameters.to_host()["p"] - p_.detach().numpy()) <= 1e-12 * moved
