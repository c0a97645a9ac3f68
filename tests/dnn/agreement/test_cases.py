"""The inputs of the comparisons: networks, weights, rows, random numbers, and rows away from kinks."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from agreement_inputs import DATA

from backends import InputError
from backends.plan import PlanForms
from backends.reference import ACTIVATIONS
from dnn import SGD
from dnn.agreement import Data, level4_fits
from dnn.agreement.cases import Case, FitCase
from dnn.agreement.contenders import by_name, oracle
from dnn.agreement.plan_fits import plan_cases
from dnn.optimizers.schedules import SCHEDULES

U = 2.0**-24


@pytest.mark.parametrize("x", [[[0.0, 1.0], [0.2, 0.0]], np.asarray([[0, 255], [51, 0]], np.uint8)])
def test_data_are_cast_to_float32_and_int64(x):
    """Bytes are divided by 255."""
    data = Data(x, np.asarray([1, 0], np.uint8), np.int32(2))
    assert (data.x.dtype, data.y.dtype, type(data.classes)) == (np.float32, np.int64, int)
    np.testing.assert_allclose(data.x, [[0.0, 1.0], [0.2, 0.0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x": np.zeros((4, 2, 2))},
            r"x has shape \(4, 2, 2\) and .*, expected shape \(N, n\) .*; use x.reshape\(len\(x\), -1\)",
        ),
        ({"y": np.eye(4)[:, :3]}, r"y has shape \(4, 3\), expected \(N,\) class numbers"),
        ({"x": np.full((4, 3), 255)}, "numbers from 255 to 255, expected .* from 0 to 1; .* scale"),
        ({"x": -np.ones((4, 3))}, "numbers from -1 to -1, expected .* from 0 to 1"),
        (
            {"x": np.full((4, 3), np.nan)},
            "x holds NaN or infinity, or a number too large for float32, first in example 0",
        ),
        ({"x": np.zeros((5, 3))}, r"y has shape \(4,\), expected \(5,\) class numbers"),
        ({"y": np.asarray([0, 1, 2, 3])}, "y holds class numbers from 0 to 3, expected 0 to 2"),
        ({"classes": "3"}, "classes is '3', expected an integer of at least 1"),
    ],
)
def test_data_reject_what_no_case_can_use(change, message):
    usual = {"x": np.zeros((4, 3), np.float32), "y": np.asarray([0, 1, 2, 1]), "classes": 3}
    with pytest.raises(InputError, match=message):
        Data(**{**usual, **change})


def test_each_step_draws_its_own_distinct_rows():
    rows = [DATA.rows(*of, 9).tolist() for of in ((0, 0), (0, 1), (1, 0))]
    assert all(len(set(some)) == 9 for some in rows)
    assert len({tuple(some) for some in rows}) == 3
    assert sorted(DATA.rows(0, 0, 999)) == list(range(140))


def test_fits_repeat_the_rows_and_columns_of_small_data():
    small = Data(DATA.x[:5, :3], DATA.y[:5], 3), 0
    cases = [*level4_fits.fit_cases(*small), *plan_cases(partial(level4_fits.make_case, *small), PlanForms())]
    assert {(len(case.labels), case.images.shape[1]) for case in cases} == {
        (37, 64), (138, 64), (139, 64), (139, 1), (139, 300), (70001, 3), (1201, 3), (23, 70001),
    }  # fmt: skip


@pytest.mark.parametrize(("activation", "variance"), [("relu", 2 / 40), ("tanh", 2 / 70)])
def test_weights_follow_he_or_glorot(activation, variance):
    """Weights have He's or Glorot's variance, biases are random, and all draws differ."""

    def draw_weights(seed):
        return Case("c", 40, (30, 40, 30, 40), 3, activation, "hinge", SGD(), seed).weights()

    values = draw_weights(1)
    assert values["dense_1.W"].var() == pytest.approx(variance, rel=0.1)
    biases = np.concatenate([b for name, b in values.items() if name.endswith(".b")])
    assert 0.08 < biases.std() < 0.12
    assert len(np.unique(biases)) == 143
    for twin in ("dense_3.W", "dense_3.b"):
        assert not np.array_equal(values[twin], values[twin.replace("3", "1")])
        assert not np.array_equal(values[twin], draw_weights(2)[twin])


def test_fit_cases_start_with_zero_weights_and_ties():
    case = FitCase("c", 9, (11,), 3, "tanh", "categorical_crossentropy", SGD(), 5,
                   images=np.zeros((4, 9), np.uint8), labels=np.zeros(4, np.int64), l1=0.5,
                   between=level4_fits.NORMALISATION)  # fmt: skip
    values = case.weights()
    assert not values["dense_1.W"][0].any()
    assert values["dense_1.W"][1:].all()
    assert not values["dense_2.W"].any()
    assert not values["dense_2.b"].any()
    gamma, beta = (values[f"batch_normalization_1.{name}"] for name in ("gamma", "beta"))
    assert abs(gamma.mean() - 1) < 0.3
    assert abs(beta.mean()) < 0.3
    assert 0.1 < min(gamma.std(), beta.std()) < 0.4
    assert not np.allclose(gamma - 1, beta)
    assert case.weights()["dense_1.W"][1:].all()  # the second call returns the same weights


class FixedOracle:
    """A contender with these pre-activations."""

    def __init__(self, *z):
        self.z = {f"z dense_{i}": values for i, values in enumerate(z, 1)}

    def compute(self, case, x, y):
        return {**self.z, "outputs": self.z["z dense_2"]}


@pytest.mark.parametrize(
    ("activation", "loss", "safe"),
    [
        ("tanh", "categorical_crossentropy", [0, 1, 2, 3, 4]),
        ("relu", "categorical_crossentropy", [0, 2, 3, 4]),
        ("tanh", "mean_absolute_error", [0, 1, 2, 4]),
        ("relu", "mean_absolute_error", [0, 2, 4]),
    ],
)
def test_safe_rows_leaves_out_rows_near_a_kink(activation, loss, safe):
    """A row is left out within 4 times the error of z in the last layer, (3 + 4 + 10) u."""
    hidden, last = np.ones((5, 2)), np.full((5, 2), 1.5)
    hidden[1, 0], hidden[2, 1], last[1] = 66 * U * 0.8**0.5, -70 * U * 0.8**0.5, 9.5
    y = np.asarray([0, 1, 0, 1, 0])
    size = np.sqrt(np.mean((last - np.eye(2)[y]) ** 2))
    last[3, 0], last[4, 1] = 66 * U * size, 70 * U * size
    case = Case("c", 9, (16,), 2, activation, loss, SGD(), 0)
    x, network = np.zeros((5, 9)), FixedOracle(hidden, last)
    assert oracle.safe_rows(case, network, x, y, 9).tolist() == safe
    assert oracle.safe_rows(case, network, x, y, 2).tolist() == safe[:2]


def test_plans_cover_what_users_do():
    """Every optimizer and schedule, past its end; no layer is dead, and no unit is near its kink."""
    make = partial(level4_fits.make_case, Data(np.resize(DATA.x, (140, 64)), DATA.y, 3), 3)
    plans = list(plan_cases(make, PlanForms()))
    past = set()
    for case in plans:
        updates = sum(s.epochs * -(-len(case.labels) // s.batch_size) for s in case.sessions)
        if updates > len(case.optimizer.rates()):
            past.add(getattr(case.optimizer.learning_rate, "name", None))
    assert past == {None, *SCHEDULES}
    for case in (case for case in plans if ACTIVATIONS[case.activation].kink):
        weights = case.weights()
        h = case.images / 255.0
        f = ACTIVATIONS[case.activation].forward
        for i in range(1, len(case.hidden) + 1):
            z = h @ weights[f"dense_{i}.W"] + weights[f"dense_{i}.b"]
            assert (z[:, ::2].min() > 0.1, z[:, 1::2].max() < -0.1) == (True, True)
            h = f(np, z)


def test_contenders_get_precision_and_device(monkeypatch):
    monkeypatch.setattr(by_name, "contender_ids", lambda: ("numpy", "pytorch", "torch:cuda"))
    able, missing = by_name.available_contenders("tf32")
    assert all(c.unit == 2.0**-10 for c in able)
    assert {"numpy", "pytorch"} <= set(missing)
    assert by_name.get_contender("torch:cpu").backend.device.type == "cpu"
