"""Bounds equal the formulas of docs/agreement.md by hand calculation, and errors have the documented
units.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from agreement_inputs import setup

from backends import get_backend
from backends.reference import ACTIVATIONS
from dnn import SGD, BatchNormalization, Conv2D, Dense, Embedding, LayerNormalization
from dnn.agreement import (
    Data,
    bounds,
    level0_activations,
    level1_layers,
    level2_networks,
    level4_fits,
    make_oracle,
)
from dnn.agreement.cases import Case, FitCase, Session, normal
from dnn.agreement.contenders.oracle import make_disturbed_oracle, measure_condition
from dnn.agreement.level0_activations import judge_activation
from dnn.agreement.samples import sum_lengths
from dnn.agreement.setup import Setup, Sizes

U = 2.0**-24


BY_HAND = {
    "layer": (bounds.layer(101.0), 20 * U),
    "layer, magnified": (bounds.layer(101.0, condition=3.0), 50 * U),
    "layer, TF32": (bounds.layer(101.0, bounds.UNIT_ROUNDOFFS["tf32"]), 20 * 2.0**-10),
    "forward, second": (bounds.forward((9, 16), 0.5), 17 * 0.5),
    "float64": (bounds.UNIT_ROUNDOFFS["float64"], 2.0**-53),
    "eta": (bounds.eta(np.asarray([3.0, 5.0]), np.asarray([3.0, 4.0])), 0.2),
    "eta of 0": (bounds.eta(np.asarray([3.0, 4.0]), np.zeros(2)), 5.0),
    "1 beside 4": (bounds.ulp_error(np.ones(1) + 2.0**-21, np.ones(1), 4.0), 1.0),
    "NaN for a number": (bounds.ulp_error(np.asarray([np.nan]), np.ones(1)), np.inf),
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
    """Exact functions 0, single operations 4 ULP, others 8."""
    of = setup("L0", make_oracle(), sizes=Sizes(sweep=200))
    own = dict.fromkeys(ACTIVATIONS, 8.0) | {"linear": 0.0, "relu": 0.0, "leaky_relu": 4.0}
    del own["softmax"]
    tensors = "y", "dx", "y in evaluation"
    records = list(level0_activations.activation_level(of))
    expected = {(f"activation {kind}", tensor): b for kind, b in own.items() for tensor in tensors}
    assert {(r.case, r.tensor): r.bound for r in records} == expected
    assert {r.measured for r in records} == {0.0}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("tanh", [(8, 8), (16, 8)]),
        ("relu", [(8, 0), (16, 0)]),
        ("gelu", [(16, 8), (4, 8)]),
    ],
)
def test_units_of_activation_errors(kind, expected, monkeypatch):
    """Units are ULPs of f(z), for dx of dy, for gated activations of z."""
    z, dy = np.asarray([[2, -8, 1, 0.25], [2, np.inf, 0, 3]]), np.asarray([[2, 4, -8, 0.5], [2, 4, 8, 0.5]])
    if kind == "gelu":
        z[:, 2:], z[0, 3], dy[:, 3] = -2.0, -0.5, 2.0
    zeros = np.zeros((2, 4))
    right = {"y": zeros + (kind != "gelu"), "dx": zeros, "y in evaluation": zeros}
    off = {"y": right["y"] + 2.0**-20, "dx": zeros + 2.0**-20, "y in evaluation": zeros}
    right["y"][1, 1] = off["y"][1, 1] = np.inf
    off["dx"][1, 1] = 1.0  # not compared, since z is infinite
    asked = SimpleNamespace(name="off", unit=U, run_layer=lambda *_: off)
    given = SimpleNamespace(run_layer=lambda *_: right)
    of = replace(setup("L0", asked), oracle=given)
    monkeypatch.setattr(Setup, "normal", lambda *_: dy)
    records = judge_activation(of, kind, z)[:2]
    assert [(r.measured, r.bound) for r in records] == expected


# --------------------------------------------------------------------------- L1


def build_layer(layer, shape):
    layer.build(shape, get_backend("numpy"), "layer", needs_dx=not layer.must_precede_trained)
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


def layer_records(make, shape, seed=4):
    """Return the records of L1 for a layer, by tensor, and the layer's batches."""
    of = setup("L1", make_oracle(), sizes=Sizes(batch=9), seed=seed)
    records = {r.tensor: r for r in level1_layers._judge_layer(of, "layer", make, shape)}
    return records, level1_layers._batches(of, build_layer(make(), shape))


def test_bounds_of_a_layer():
    """Bounds use the sum length of each tensor and batch; "y in evaluation" uses the last batch."""
    condition = {"y": 0.5, "y in evaluation": 0.5, "dx": 3.0} | dict.fromkeys(("dW", "db", "dW 2"), 0.5)
    probe = build_layer(Dense(3), (5,))
    expected = [2 + 8, (2**0.5 + 4) * 3 + 4, 13, 13, 11, 2 + 8]
    names = ["y", "dx", "dW", "db", "dW 2", "y in evaluation"]
    found = [level1_layers._layer_bound(probe, [26, 10], condition, name, 2.0) for name in names]
    assert found == pytest.approx([2 * w for w in expected])


@pytest.mark.parametrize("activation", ["tanh", "linear"])
def test_condition_of_an_activation(activation):
    """The bound of y contains the factor by which f(z) magnifies a relative error of x."""
    records, batches = layer_records(partial(Dense, 30, activation), (40,))
    x = batches[0][0]
    W = normal(4, "values W", (40, 30)) / 40**0.5
    z = x @ W + normal(4, "values b", (30,)) / 30**0.5
    f, slope = (np.tanh, np.cosh(z) ** -2) if activation == "tanh" else (np.asarray, np.ones_like(z))
    magnified = np.linalg.norm(slope * np.sqrt(x**2 @ W**2)) / np.linalg.norm(f(z))
    assert records["y"].bound == pytest.approx(((39**0.5 + 4) * magnified + 4) * U, rel=0.1)


@pytest.mark.parametrize("make", [BatchNormalization, LayerNormalization])
def test_condition_of_a_normalisation(make):
    """In the fourth batch the mean is 1000 times the deviation, and y loses three digits."""
    records, _ = layer_records(make, (24,))
    k = 37 if make is BatchNormalization else 1
    assert records["y"].bound < 20 * U
    assert 0.5 < records["y 4"].bound / (((k - 1) ** 0.5 + 4) * 1000 * U) < 1.1  # beta is part of y
    assert records["dbeta 4"].bound < 30 * U


def test_condition_contains_the_rounding_of_a_mean():
    """An error of e standard deviations in the mean changes dx by e (mean(dy x^) + x^ mean(dy))."""
    seed = 9  # here mean(dy) is large, and mean(dy x^) small
    records, batches = layer_records(BatchNormalization, (5, 5, 1), seed)
    x, dy = (a.reshape(-1).astype(np.float64) for a in batches[3])
    normal_x = (x - x.mean()) / x.std()
    dx = dy - dy.mean() - normal_x * (dy * normal_x).mean()
    change = x.mean() / x.std() * ((dy * normal_x).mean() + normal_x * dy.mean())
    condition = np.linalg.norm(change) / np.linalg.norm(dx)
    assert records["dx 4"].bound > ((len(x) - 1) ** 0.5 + 4) * condition * U


# --------------------------------------------------------------------------- L2


def test_condition_of_a_network():
    """The disturbed oracle moves every number that a kernel reads: here x and W of one product."""
    case = Case("c", 40, (), 30, "tanh", "mean_squared_error", SGD(), 0)
    x = np.abs(normal(0, "x", (20, 40))).clip(max=1.0).astype(np.float32)
    y = np.arange(20) % 30
    expected = make_oracle().compute(case, x, y)
    z, W = expected["z dense_1"], case.weights()["dense_1.W"]
    moved = np.linalg.norm(np.sqrt(2 * x**2 @ W**2)) / np.linalg.norm(z)
    found = measure_condition([make_disturbed_oracle(0).compute(case, x, y)], expected)
    assert found["z dense_1"] == pytest.approx(moved, rel=0.1)
    assert 0.5 < found["d dense_1.W"] < 5
    data = Data(np.resize(x, (200, 40)), np.resize(y, 200), 30)
    of = replace(setup("L2", make_oracle(), sizes=Sizes(batch=20, candidates=20)), data=data)
    bound = {r.tensor: r.bound for r in level2_networks.compare_batch(of, case, 0)}
    assert bound["z dense_1"] == pytest.approx(((39**0.5 + 2) * moved + 2) * U, rel=0.1)
    assert bound["d dense_1.b"] >= (39**0.5 + 4) * U


def test_bounds_of_a_network_have_the_longest_product(monkeypatch):
    monkeypatch.setattr(level2_networks, "measure_condition", lambda _, y: dict.fromkeys(y, 1.0))
    data = Data(np.eye(9, 17, dtype=np.float32), np.arange(9) % 3, 3)
    of = replace(setup("L2", make_oracle(), sizes=Sizes(batch=9, candidates=9)), data=data)
    case = data.case("c", (5, 26), SGD(), 0, "tanh")
    found = {r.tensor: r.bound / U for r in level2_networks.compare_batch(of, case, 0)}
    assert set(found.values()) == {9.0}


# --------------------------------------------------------------------------- L4


def test_bound_of_a_short_fit():
    """It is 2 T times the bound of a gradient, plus a rounding of the parameters."""
    image = np.zeros((17, 9), np.uint8)
    sessions = (Session(epochs=2), Session(4, 1))  # 2 times 3 updates, and 5
    case = FitCase(
        "c", 9, (16,), 36, "tanh", "hinge", SGD(), 0, images=image, labels=image[:, 0], sessions=sessions
    )
    start, after = {"w": np.asarray([3.0, 4.0])}, {"w": np.asarray([3.0, 6.0])}
    slope = 2 * (3 + 4) + (4 + 6) + 8**0.5 + 10
    assert level4_fits.short_fit_bound(case, "loss", start, after) == pytest.approx(2 * 11 * slope * U)
    expected = 2 * 11 * (slope + 45**0.5 / 2) * U
    assert level4_fits.short_fit_bound(case, "w", start, after) == pytest.approx(expected)
    # "w" did not move.
    assert level4_fits.short_fit_bound(case, "w", start, start) == pytest.approx(2 * 11 * slope * U)
