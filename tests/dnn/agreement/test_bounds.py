"""Bounds equal the formulas of docs/agreement.md by hand calculation, and errors have the documented
units.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn import SGD, AdamW, BatchNormalization, Conv2D, Dense, Embedding, LayerNormalization
from dnn.agreement import activations, bounds, fits, make_oracle, propagation, single_layers, updates
from dnn.agreement.activations import judge_activation
from dnn.agreement.cases import Case, FitCase, Session, normal
from dnn.agreement.propagation import Function, product
from dnn.agreement.samples import condition, evaluation_conditions, sum_lengths
from dnn.agreement.setup import Setup
from dnn.agreement.sizes import Sizes
from dnn.agreement.state import State
from dnn.layers import RandomRotation
from dnn.losses import get_loss
from dnn.optimizers import Adam

U = 2.0**-24


def setup(level, *contenders, sizes=None, seed=0):
    return Setup(level, contenders, make_oracle(), None, sizes or Sizes(), seed)


TINY = np.asarray(
    [[1.0, *4 * [0.25 * U], *4 * [0.0]], [1.0 - 3 * U / 2, 0.5 * U, 0.5 * U, 0.5 * U, *5 * [0.0]]]
)
BY_HAND = {
    "layer": (bounds.layer(101.0), 20 * U),
    "layer, magnified": (bounds.layer(101.0, condition=3.0), 50 * U),
    "layer, many elements": (bounds.layer(101.0, constant=4.0), 18 * U),
    "layer, TF32": (bounds.layer(101.0, bounds.UNIT_ROUNDOFFS["tf32"]), 20 * 2.0**-10),
    "forward, first": (bounds.forward((9, 16), 0), 13 * U),
    "forward, second": (bounds.forward((9, 16), 1, 0.5), 17 * 0.5),
    "gradient, first": (bounds.gradient((9, 16), (25, 36), 0, 49, 2.0), 47 * U),
    "gradient, second": (bounds.gradient((9, 16), (25, 36), 1, 49, 2.0, 0.5), 44 * 0.5),
    "moment": (bounds.slot(np.asarray([3.0, 4.0])), 8 * U),
    "moment, tiny": (bounds.slot(np.asarray([3e-36, 4e-36])), 8 * U + 2**0.5 / 5),
    "update": (bounds.update(np.asarray([3.0, 4.0]), np.asarray([0.0, 1.0])), 4.2 * U),
    "update, decayed": (bounds.update(np.asarray([3.0, 4.0]), np.asarray([0.0, 1.0]), True), 6.2 * U),
    "update of 0": (bounds.update(np.zeros(2), np.asarray([3.0, 4.0])), 81 * U),
    "softmax": (bounds.softmax_ulp(5.0, np.full((2, 9), 1 / 9)), 16.0),
    "softmax, too small for the sum": (bounds.softmax_ulp(5.0, TINY), 17.5),
    "derivative of softmax": (bounds.softmax_slope_ulp(np.full((2, 9), 1 / 9)), 11.0),
    "derivative of softmax, too small for the sum": (bounds.softmax_slope_ulp(TINY), 14.0),
    "trajectory": (bounds.TRAJECTORY_BOUND, 1e-9),
    "float64": (bounds.UNIT_ROUNDOFFS["float64"], 2.0**-53),
    "eta": (bounds.eta(np.asarray([3.0, 5.0]), np.asarray([3.0, 4.0])), 0.2),
    "eta of 0": (bounds.eta(np.asarray([3.0, 4.0]), np.zeros(2)), 5.0),
    "1 beside 4": (bounds.ulp_error(np.ones(1) + 2.0**-21, np.ones(1), 4.0), 1.0),
    "nothing": (bounds.ulp_error(np.zeros(0), np.zeros(0)), 0.0),
    "the other infinity": (bounds.ulp_error(np.asarray([np.inf]), np.asarray([-1e39])), np.inf),
    "flushed": (bounds.ulp_error(np.asarray([2.0**-126]), np.asarray([1e-40])), 0.0),
    "not flushed": (bounds.ulp_error(np.zeros(1), np.asarray([2.0**-126])), 2.0**23),
    "too large for a tiny one": (bounds.ulp_error(np.asarray([2.0**-125]), np.zeros(1)), 2.0**24),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_bounds_equal_their_formulas(name):
    found, expected = BY_HAND[name]
    assert found == pytest.approx(expected, rel=1e-12)


# --------------------------------------------------------------------------- L0


def test_bounds_of_activations():
    """Exact functions 0, single operations 4 ULP, others 8; softmax more, by its spread and width."""
    of = setup("L0", make_oracle(), sizes=Sizes(sweep=200))
    z = activations.make_sweep(of, "softmax")
    own = dict.fromkeys(ACTIVATIONS, 8.0) | {"linear": 0.0, "relu": 0.0, "leaky_relu": 4.0}
    lost = max(row[row < U].sum() for row in softmax(z.astype(np.float64), axis=1)) / U
    value = own | {"softmax": 8 + np.ptp(z, axis=1).max() + 10**0.5 + lost}
    slope = own | {"softmax": 8 + 10**0.5 + 2 * lost}
    expected = {(f"activation {kind}", "dx"): bound for kind, bound in slope.items()}
    for tensor in ("y", "y in evaluation"):
        expected |= {(f"activation {kind}", tensor): bound for kind, bound in value.items()}
    records = list(activations.activation_level(of))
    assert {(r.case, r.tensor): r.bound for r in records} == pytest.approx(expected)
    assert {r.measured for r in records} == {0.0}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tanh", [(8, 8), (16, 8)]),
        ("relu", [(8, 0), (16, 0)]),
        ("softmax", [(8, 20), (1, 10)]),
        ("gelu", [(16, 8), (4, 8)]),
    ],
)
def test_units_of_activation_errors(kind, expected, monkeypatch):
    """Units are ULPs of f(z), for dx of dy (softmax: the largest dy in a row), for gated activations of z."""
    z, dy = np.asarray([[2, -8, 1, 0.25], [2, np.inf, 0, 3]]), np.asarray([[2, 4, -8, 0.5], [2, 4, 8, 0.5]])
    if kind == "gelu":
        z[:, 2:], z[0, 3], dy[:, 3] = -2.0, -0.5, 2.0
    zeros = np.zeros((2, 4))
    right = {"y": zeros + (kind != "gelu"), "dx": zeros, "y in evaluation": zeros}
    off = {"y": right["y"] + 2.0**-20, "dx": zeros + 2.0**-20, "y in evaluation": zeros}
    right["y"][1, 1] = off["y"][1, 1] = np.inf
    off["dx"][1, 1] = 1.0  # not compared, since z is infinite
    asked = SimpleNamespace(name="off", unit=U, trains=True, use=lambda *_: off)
    given = SimpleNamespace(use=lambda *_: right)
    of = replace(setup("L0", asked), oracle=given)
    monkeypatch.setattr(Setup, "normal", lambda *_: dy)
    records = judge_activation(of, kind, z)[:2]
    assert [(r.measured, r.bound) for r in records] == expected


# --------------------------------------------------------------------------- L1


def build_layer(layer, shape):
    layer.build(shape, get_backend("numpy"), "layer", first=layer.must_precede_trained)
    return layer


@pytest.mark.parametrize(
    ("layer", "shape", "inner"),
    [
        (Dense(3), (5,), (5, 3, 7)),
        (Conv2D(4, (2, 3)), (6, 5, 2), (12, 24, 7 * 5 * 3)),
        (BatchNormalization(), (2, 3, 4), (42, 42, 42)),
        (LayerNormalization(), (2, 4), (1, 1, 14)),
        (Embedding(6, 4), (3,), (1, 1, 4)),
    ],
)
def test_sum_lengths(layer, shape, inner):
    assert sum_lengths(build_layer(layer, shape), 7) == inner


def test_conditions():
    x = np.asarray([[9.0, 0.0], [11.0, 2.0]])  # means 10 and 1, variances 1
    batch = build_layer(BatchNormalization(epsilon=1.0), (2,))
    assert condition(batch, x) == pytest.approx(((101 + 2) / 2 / 2) ** 0.5)
    row = build_layer(LayerNormalization(epsilon=0.75), (2,))  # variances 20.25
    assert condition(row, x) == pytest.approx((((81 / 2) + (125 / 2)) / 2 / 21) ** 0.5)
    assert condition(row, x - x) == condition(build_layer(Dense(2), (2,)), x) == 1.0
    assert condition(build_layer(Dense(2, "softmax"), (2,)), x) == 2.0
    assert condition(build_layer(RandomRotation(5.0), (6, 4)), x) == 5.0
    running = {"running_mean": np.asarray([10.0, 1.0]), "running_variance": np.asarray([3.0, 0.0])}
    of_mean, of_x = evaluation_conditions(batch, x, running)  # roots 2 and 1, so x^ is 1/2, 1/2, 1, 1
    assert of_mean == pytest.approx((2 * 25 + 2 * 1) ** 0.5 / 2.5**0.5)
    assert of_x == pytest.approx((20.25 + 30.25 + 4) ** 0.5 / 2.5**0.5)


def test_bounds_of_a_layer():
    """Bounds use the sum length of each tensor and batch; "y in evaluation" uses the last batch."""
    batches = [(np.ones((n, 5)), np.ones((n, 3))) for n in (26, 10)]
    bound = single_layers._layer_bound(build_layer(Dense(3), (5,)), batches, {}, 0.5)
    names = ["y", "dx", "dW", "db", "dW 2", "y in evaluation"]
    expected = [(2 + 4) / 2 + 4, 2**0.5 + 8, 15, 15, 13, 7]
    assert [bound(name, 2.0) for name in names] == pytest.approx([2 * w for w in expected])


def test_bounds_of_an_activation_inside_a_layer(monkeypatch):
    """The bound of y contains the factor norm(f'(z) z) / norm(f(z)), or 1 without an activation."""
    for activation in ("tanh", "linear", "softmax"):
        sample = ("Dense", partial(Dense, 3, activation), (5,))
        monkeypatch.setattr(single_layers, "samples", lambda sample=sample: iter([sample]))
        records = list(single_layers.layer_level(setup("L1", make_oracle(), sizes=Sizes(batch=9), seed=4)))
        bound = {r.tensor: r.bound for r in records if r.case == "Dense"}
        x, W = normal(4, "layer x", (88, 5))[:9], normal(4, "values W", (5, 3)) / 5**0.5
        z = x @ W + normal(4, "values b", (3,)) / 3**0.5
        flat = np.linalg.norm(z / np.cosh(z) ** 2) / np.linalg.norm(np.tanh(z))
        of_y, of_dx = {"tanh": (flat, 1), "linear": (1, 1), "softmax": (2, 2)}[activation]
        assert bound["y"] == pytest.approx(((2 + 4) * of_y + 4) * U, rel=1e-4)
        assert bound["dx"] == pytest.approx(((2**0.5 + 4) * of_dx + 4) * U)


def test_bounds_of_normalisations():
    x = np.asarray([[9.0, 0.0], [11.0, 2.0]])
    tensors = {"dbeta": np.asarray([3.0, 4.0]), "dgamma": np.asarray([0.0, 2.5]), "dgamma 2": np.ones(2)}
    tensors |= {"dbeta 2": np.zeros(2), "running_mean": np.asarray([5.0, 0.5])}
    tensors["running_variance"] = np.asarray([1.0, 4.25])
    probe = build_layer(BatchNormalization(momentum=0.5, epsilon=1.0), (2,))
    bound = single_layers._layer_bound(probe, [(x, x)] * 2, tensors, 1.0)
    c = (103 / 4) ** 0.5
    assert bound("y", 1.0) == pytest.approx((1 + 4) * c + 4)
    assert bound("dx", 1.0) == pytest.approx((1 + 4) * c + 4)
    assert bound("dbeta", 1.0) == pytest.approx(11)
    assert bound("dgamma", 1.0) == pytest.approx((1 + 5) * 2 * c + 5)
    assert bound("dgamma 2", 1.0) == pytest.approx((1 + 5) * c + 5)
    variance = (1 + 5) * (0.75**2 + 4.0**2) ** 0.5 / (1 + 4.25**2) ** 0.5 + 5
    assert bound("running_mean", 1.0) == pytest.approx(11)
    assert bound("running_variance", 1.0) == pytest.approx(variance)
    of_mean, of_x = evaluation_conditions(probe, x, tensors)
    expected = 5 * of_x + 5 + of_mean * 11 + variance / 2
    assert bound("y in evaluation", 1.0) == pytest.approx(expected)
    many = [(np.resize(x, (400, 2)), np.ones((400, 2)))]
    assert single_layers._layer_bound(probe, many, tensors, 1.0)("dx", 1.0) == pytest.approx(
        (399**0.5 + 4) * max(1, c / 5) + 4
    )
    rows = build_layer(LayerNormalization(epsilon=0.75), (2,))
    bound = single_layers._layer_bound(rows, [(x, x)], tensors, 1.0)
    assert bound("dgamma", 1.0) == pytest.approx((1 + 5) * (103 / 42) ** 0.5 + 5 + 11)


# --------------------------------------------------------------------------- L2


def test_variance_of_a_product():
    """It adds the variances of both factors and k / 9 (r^2 + 3/2 sum t^2) for rounding."""
    r, var = product(
        (np.asarray([[1.0, 2.0]]), np.asarray([[0.5, 0.25]])),
        (np.asarray([[3.0], [4.0]]), np.asarray([[0.1], [0.2]])),
    )
    assert r.item() == 11.0
    assert var.item() == pytest.approx(0.5 * 9 + 0.25 * 16 + 0.1 * 1 + 0.2 * 4 + 2 / 9 * (121 + 1.5 * 73))


def test_variance_of_the_softmax_derivative():
    """It adds the variances from dy, from z (by dz_i [i = k] - dz_i y_k - y_i dz_k), and from rounding."""
    z, dy, var, var_dy = np.random.default_rng(0).uniform(0.1, 1.0, (4, 1, 5))
    f = Function("softmax", z, var)
    y = softmax(z[0])
    jacobian = np.diag(y) - np.outer(y, y)
    dz, own = jacobian @ dy[0], 3 * y**2 * (dy[0] ** 2 + np.sum(y**2 * dy[0] ** 2))
    by_z = np.diag(dz**2) + np.outer(dz**2, y**2) + np.outer(y**2, dz**2)
    found = f.backward(dy, var_dy)
    np.testing.assert_allclose(found[0][0], dz)
    np.testing.assert_allclose(found[1][0], jacobian**2 @ var_dy[0] + by_z @ var[0] + own)


def test_error_limits_of_a_network():
    case = Case("c", 4, (2,), 3, "tanh", "categorical_crossentropy", SGD(), 0)
    stream = np.random.default_rng(0)
    x, y, d = stream.normal(size=(2, 4)), np.asarray([0, 2]), stream.normal(size=(2, 3))
    values = {k: stream.normal(size=w.shape) for k, w in case.weights().items()}
    W1, W2 = values["dense_1.W"], values["dense_2.W"]

    def sure(a):
        return a, np.zeros_like(a)

    z1, var = product(sure(x), sure(W1))
    z1 += values["dense_1.b"]
    f = Function("tanh", z1, var + z1**2 / 3)
    h = f.forward()
    z2, var2 = product(h, sure(W2))
    z2 += values["dense_2.b"]
    var2 += z2**2 / 3
    back = propagation.loss_gradient(get_loss(case.loss), (z2, var2), d, np.eye(3)[y])
    dz = f.backward(*product(back, sure(W2.T)))
    pairs = {"z dense_1": (z1, f.var), "z dense_2": (z2, var2), "outputs": (z2, var2)}
    pairs |= {"d dense_2.W": product((h[0].T, h[1].T), back), "d dense_1.W": product(sure(x.T), dz)}
    pairs |= {f"d dense_{i}.b": product(sure(np.ones((1, 2))), e) for i, e in ((2, back), (1, dz))}
    expected = {k: 1 + 6 * np.sqrt(var.sum()) / np.linalg.norm(r) for k, (r, var) in pairs.items()}
    assert propagation.error_limits(case, values, x, y, d) == pytest.approx(expected)


@pytest.mark.parametrize(("loss", "own"), [("mean_squared_error", 1 / 3), ("categorical_crossentropy", 3.0)])
def test_variance_of_a_loss_gradient(loss, own):
    """It adds the variance of P, scaled like d, and two roundings of d."""
    loss, z, var = get_loss(loss), np.asarray([[0.5, -1.0, 0.25]]), np.asarray([[0.1, 0.2, 0.3]])
    p = np.exp(z) / np.exp(z).sum() if loss.activation else z
    jacobian = np.diag(p[0]) - np.outer(p, p) if loss.activation else np.eye(3)
    rows = np.asarray([[0.0, 1.0, 0.0]])
    d, found = propagation.loss_gradient(loss, (z, var), 0.3 * (p - rows), rows)
    expected = 0.09 * (jacobian**2 @ var[0] + own * p**2) + 2 * d**2
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    kinked = propagation.loss_gradient(get_loss("hinge"), (z, var), d, rows)[1]
    np.testing.assert_allclose(kinked, 2 * d**2)


# --------------------------------------------------------------------------- L3 and L4


@pytest.mark.parametrize(("optimizer", "own"), [(Adam(), 1), (AdamW(), 3)])
@pytest.mark.parametrize("n", [1, 2])
def test_bounds_of_updates(optimizer, own, n):
    """The bounds of n updates are n times those of one; the update count is exact."""
    before = State({"w": np.asarray([3.0, 4.0])}, {"m": {"w": np.zeros(2)}}, np.asarray([0, 0, 0, 7.0]))
    after = State({"w": np.asarray([3.0, 5.0])}, {"m": {"w": np.ones(2)}}, np.asarray([0, 0, 0, 8.0]))
    asked = []
    case = Case("c", 2, (), 2, "tanh", "hinge", optimizer, 0)
    network = SimpleNamespace(name="n", unit=U, trains=True, case=case, load=asked.append)
    network.state = lambda: after
    network.repeat = lambda *a: asked.append(a)
    records = updates.compare_updates(setup("L3"), network, [network], before, {}, "note", n)
    found = {r.tensor: r.bound for r in records}
    expected = {"new w": n * U * (own + 16 / 34**0.5), "m w": n * 8 * U, "updates done": 0.0}
    assert found == pytest.approx(expected)
    assert asked == [before, ({}, n)] * 2


def test_bound_of_a_short_fit():
    """It is 2 T times the bound of a gradient, plus a rounding of the parameters."""
    image = np.zeros((17, 9), np.uint8)
    sessions = (Session(epochs=2), Session(4, 1))  # 2 times 3 updates, and 5
    case = FitCase(
        "c", 9, (16,), 36, "tanh", "hinge", SGD(), 0, images=image, labels=image[:, 0], sessions=sessions
    )
    start, after = {"w": np.asarray([3.0, 4.0])}, {"w": np.asarray([3.0, 6.0])}
    slope = max((3 + 4 + 10) + 6 + 8**0.5 + 0, (3 + 4 + 10) + 0 + 8**0.5 + 3)
    assert fits.short_fit_bound(case, "loss", start, after) == pytest.approx(2 * 11 * slope * U)
    expected = 2 * 11 * (slope + 45**0.5 / 2) * U
    assert fits.short_fit_bound(case, "w", start, after) == pytest.approx(expected)
