"""The rounding model of README.md, bounds computed by hand, and planted mistakes."""

import time

import numpy as np
import pytest

from array_agreement.bounds import Bound, t_quantile
from array_agreement.gradient import Gradient
from array_agreement.mutants import PlantedMistake, mutants, time_limit
from array_agreement.oracle import Oracle, outputs
from array_agreement.rounding import FLOAT32, MIN_NORMAL, Rounding
from array_agreement.targets import to_numpy
from array_agreement.watched import WatchedNamespace

U = 2.0**-24
X = np.random.default_rng(1).uniform(0.5, 2.0, (4000, 6)).astype(np.float32)
SIGNED, FACTOR = X - 1, np.full(6, -0.7, np.float32)
CENTERED = X * np.float32([1, -1, 1, -1, 1, -1])


def mean_error(x, std):
    """Return what the error of the mean adds to that of a variance of 6 terms, over sqrt((6 + 2) / 3)."""
    mean = np.abs(x).mean(axis=1)
    return (mean * std + 6 * U * mean**2) / (8 / 3) ** 0.5


def error_of(signed):
    return signed - SIGNED.astype(signed.dtype)


SIZES = {
    "multiply": (X, lambda xp, x: x * x, lambda x, r: np.abs(r)),
    "quotient": (X, lambda xp, x: x / x, lambda x, r: 2 * r),
    "sqrt": (X, lambda xp, x: xp.sqrt(x), lambda x, r: np.abs(r)),
    "constant": (SIGNED[:10], lambda xp, x: 0 * x + 0.1, lambda x, r: 2 * np.abs(r)),
    "exp": (X, lambda xp, x: xp.exp(x), lambda x, r: 3 * np.abs(r)),
    "sum": (SIGNED, lambda xp, x: xp.sum(x, axis=1), lambda x, r: np.abs(x).sum(axis=1)),
    "mean": (SIGNED, lambda xp, x: xp.mean(x, axis=1), lambda x, r: np.abs(x).mean(axis=1)),
    "matmul": (SIGNED, lambda xp, x: x @ xp.asarray(FACTOR), lambda x, r: np.abs(x) @ np.abs(FACTOR)),
    "var": (CENTERED, lambda xp, x: xp.var(x, axis=1), lambda x, r: r + mean_error(x, r**0.5)),
    "std": (CENTERED, lambda xp, x: xp.std(x, axis=1), lambda x, r: r + mean_error(x, r) / r),
    "cumulative sum": (SIGNED[:100], lambda xp, x: xp.cumulative_sum(x, axis=0)[-1, :],
                       lambda x, r: (102 / 8) ** 0.5 * np.abs(x).sum(axis=0)),
    "unknown": (X, lambda xp, x: xp._call("unknown", lambda a: 0 * a + 1 / 3, x), lambda x, r: 4 / 3 + 0 * x),
    "its arguments": (SIGNED, lambda xp, x: xp._call("unknown", lambda a: a, x), lambda x, r: 7 * np.abs(x)),
    "from NumPy": (SIGNED, lambda xp, x: xp._call("from_numpy", error_of, x),
                   lambda x, r: 3 * np.abs(x).max()),
    "linalg": (SIGNED, lambda xp, x: xp._call("linalg.any", error_of, x),
               lambda x, r: 3 * 4000**0.5 * np.abs(x).max()),
    "linspace": (X, lambda xp, x: xp.linspace(-1, 2, 9999, dtype=xp.float32), lambda x, r: 9 + 0 * r),
    "fft": (SIGNED, lambda xp, x: xp._call("fft.any", lambda a: a, x),
            lambda x, r: (1.25 * (1 + np.log2(x.size))) ** 0.5 * np.abs(r).max() + 0 * x),
}  # fmt: skip
"""Array, function, and e / u of each result; for sums without the factor sqrt((k + 2) / 3)."""
SUM_CASES = ("sum", "mean", "matmul", "var", "std", "cumulative sum")


@pytest.mark.parametrize("name", SIZES)
def test_rounding_errors_have_the_size_of_the_model(name):
    """Errors lie between -e and e and come close to both."""
    array, f, size = SIZES[name]
    space, values = WatchedNamespace(wide=True), []
    for seed in range(4000 // len(array)):
        for hook in (Rounding(), Rounding(np.random.default_rng(seed))):
            space.hook = hook
            space.is_jax = name == "quotient"
            values.append(f(space, space.asarray(array)).value)
    exact, perturbed = np.asarray(values[::2]), np.asarray(values[1::2])
    sum_factor = (8 / 3) ** 0.5 if name in SUM_CASES else 1.0
    share = (perturbed - exact) / (U * sum_factor * size(array.astype(np.float64), exact[0]))
    assert 0.96 < share.max() < 1.001
    assert -0.96 > share.min() > -1.001
    assert abs(share.mean()) < 0.1


@np.errstate(all="ignore")
def test_overflow_and_underflow_follow_float32():
    """Results above the largest number are infinite. Some backends flush subnormal results to 0."""
    space = WatchedNamespace(wide=True)
    space.hook = Rounding()
    large = space.asarray(np.asarray([-2e38, 2e38, FLOAT32.max / 2], np.float32))
    assert (large * 2).value.tolist() == [-np.inf, np.inf, FLOAT32.max]
    assert np.isfinite((large * 1.5).value).all()
    tiny = space.asarray(np.full(1000, 1.5e-38, np.float32))
    assert (tiny / 2).value.all()
    space.hook = Rounding(np.random.default_rng(0))
    assert 400 < np.count_nonzero((tiny / 2).value) < 600
    assert (tiny / 1.2).value.all()


@np.errstate(all="ignore")
def test_a_bound_is_students_quantile_times_the_spread():
    """The bound is at least u, 0 for exact results, and NaN for elements that rounding decides."""
    exact = np.asarray([1.0, 2.0, np.inf, np.nan, 3.0, np.inf])
    runs = [exact + d for d in ([1e-5, 0, 0, 0, np.inf, 0], [-1e-5, 0, 0, 0, 0, np.nan])]
    bound = Bound("x", exact, runs, np.float32).bound
    t = t_quantile(2, 1e-6 / 6)
    np.testing.assert_allclose(
        bound, [1e-5 * t + MIN_NORMAL, 2 * U + MIN_NORMAL, 0, 0, np.nan, np.nan], rtol=1e-9
    )
    integers = Bound("i", np.asarray([1, 2]), [np.asarray([1, 2]), np.asarray([1, 3])], np.int64)
    np.testing.assert_array_equal(integers.bound, [0, np.nan])
    assert np.isnan(Bound("x", exact, [exact, exact[:5]], np.float32).bound).all()
    verdict = integers.judge("b", np.asarray([1, 7]))
    assert (verdict.ratio, verdict.unjudged, verdict.agrees) == (0.0, 1, True)
    assert integers.judge("b", np.asarray([0, 2])).ratio == np.inf
    for dtype in (np.float64, np.int32):
        note = integers.judge("b", np.zeros(2, dtype)).note
        assert f"{np.dtype(dtype).name} of shape (2,), expected int64 of shape (2,)" in note
    lost = Bound("x", np.asarray([0.1, np.inf]), [[0.3, np.inf], [-0.3, np.inf]], np.float32)
    assert [lost.judge("b", np.float32([x, np.inf])).unjudged for x in (0.103, 0.104)] == [0, 1]
    one = Bound("x", 1.0, [1.0, 1.0], np.float32)
    assert one.judge("b", np.float32(1 + 2 * U)).ratio == pytest.approx(2)
    assert one.judge("b", np.float32(np.nan)).ratio == np.inf
    assert one.tolerances() == (6.3e-8, 0)


FLOAT32_ARRAY = np.asarray([[1 + 2.0**-12, 2.0], [3.0, 5.0]], np.float32)
MISTAKES = [
    ("sum", "narrow accumulation", lambda xp, x: xp.sum(x), 11.0),
    ("sum", "dropped term", lambda xp, x: xp.sum(x), 6 + 2.0**-12),
    ("sum", "dropped term", lambda xp, x: xp.sum(x, axis=1), [1 + 2.0**-12, 3.0]),
    ("sum", "axis off by one", lambda xp, x: xp.sum(x, axis=1), [4 + 2.0**-12, 7.0]),
    ("exp", "narrow result", lambda xp, x: xp.exp(x[1, :]), np.float16(np.exp([3.0, 5.0]))),
    ("matmul", "dropped term", lambda xp, x: x @ x[:, 1], [2 + 2.0**-11, 6.0]),
    ("matmul", "dropped term", lambda xp, x: x[1:, :] @ x, [[3 + 3 * 2.0**-12, 6.0]]),
    ("var", "ddof", lambda xp, x: xp.var(x[1, :]), 2.0),
    ("var", "ddof", lambda xp, x: xp.var(xp.concat([x[1, :], x[1, :1]]), correction=1), 8 / 3),
    ("subtract", "swapped arguments", lambda xp, x: x[1, :] - 1, [-2.0, -4.0]),
    ("multiply", "stale buffer", lambda xp, x: (x * 1, x * 3)[1], FLOAT32_ARRAY),
]


@pytest.mark.parametrize(("operation", "mistake", "f", "wrong"), MISTAKES)
def test_planted_mistake_gives_the_wrong_result(operation, mistake, f, wrong):
    results = []
    for planted in (
        PlantedMistake(operation, mistake),
        PlantedMistake("floor", mistake),
        PlantedMistake(operation, ""),
    ):
        backend = planted.backend()
        results.append(to_numpy(f(backend.xp, backend.to_array(FLOAT32_ARRAY))))
        assert (operation, mistake) in planted.candidates
    np.testing.assert_allclose(results[0], wrong, rtol=1e-7)
    assert results[0].dtype == np.float32
    assert np.abs(results[1] - wrong).max() > 1e-5
    np.testing.assert_array_equal(results[1], results[2])


def test_classifies_mutants():
    """A mutant is noticed, survives within the bounds, or is equivalent since no output changes."""
    outcomes = mutants(Oracle(lambda xp, x: xp.sum(x) + 0 * xp.max(x), [FLOAT32_ARRAY]))
    assert outcomes["sum", "dropped term"] == "noticed"
    assert outcomes["max", "dropped term"] == "equivalent"
    survived = mutants(
        Oracle(lambda xp, x: xp.max(x) * 3000 + xp.sum(x) * 0.3, [np.linspace(1, 1.7, 9, dtype=np.float32)])
    )
    assert survived["sum", "narrow accumulation"] == "survived"
    assert survived["sum", "float64 result"] == "noticed"
    hidden = mutants(Oracle(lambda xp, x: xp.astype(xp.sum(x), xp.float32), [FLOAT32_ARRAY]))
    assert hidden["sum", "float64 result"] == "equivalent"


def test_mutants_that_never_end_are_noticed(monkeypatch):
    monkeypatch.setattr("array_agreement.mutants.MIN_SECONDS", 0.1)

    def halve(xp, x):
        n = xp.max(x)
        while n > 2:
            n = n / 2
        m = float(n)
        while m > 2:  # an infinite number never gets smaller, in a loop without calls
            m /= 2
        return x * n

    outcomes = mutants(Oracle(halve, [np.asarray([5.0, 3.0])]))
    assert outcomes["divide", "stale buffer"] == outcomes["divide", "swapped arguments"] == "noticed"


def test_a_busy_machine_does_not_use_up_the_time_of_a_mutant():
    with time_limit(0.1):
        time.sleep(0.3)


def test_names_outputs_by_their_path():
    tree = {"a": (1, [2.0]), "_b": 3, "c": np.float32(1)}
    assert dict(outputs(tree)) == {"a.0": 1, "a.1.0": 2.0, "c": 1}
    assert dict(outputs(5)) == {"result": 5}
    assert dict(outputs("text")) == {}


def test_gradients_are_compared_in_16_directions():
    """The arguments share the directions. Each direction covers different elements."""
    gradient = Gradient(Oracle(lambda xp, x, y: x, [np.ones(40), np.zeros((3, 5))], dtype="float32"))
    assert np.bincount(gradient.groups).tolist() == [4] * 7 + [3] * 9
    assert set(np.abs(gradient.moves)) == {1.0}
