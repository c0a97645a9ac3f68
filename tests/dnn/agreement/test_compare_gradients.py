"""compare_gradients names the array that a hand-written backward computes wrong first."""

import importlib

import numpy as np
import pytest
from command_lines import SCRIPTS
from helpers import NUMPY, NUMPY64

from backends import InputError
from dnn import Dense, Sequential
from dnn.agreement import compare_gradients

B = 20


@pytest.fixture(scope="module", params=[NUMPY64, NUMPY], ids=["float64", "float32"])
def both(request):
    """Return the gradients of from_scratch.py and of the library, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS / "examples")
        from_scratch = importlib.import_module("from_scratch")
    layers = [Dense(6, "relu"), Dense(6, "relu"), Dense(3, "softmax")]
    model = Sequential(layers, input_shape=(4,), backend=request.param, seed=1)
    model.compile()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(B, 4)), rng.integers(3, size=B)
    params = [array.astype("f8") for array in model.parameters.to_host().values()]
    _, mine = from_scratch.gradients(np, "relu", params, x, np.eye(3)[y])
    expected = model.gradients(x, y)[1]
    return dict(zip(expected, mine, strict=True)), expected


def test_a_network_written_by_hand_agrees(both):
    verdict = compare_gradients(*both)
    assert verdict.holds, verdict
    assert str(verdict).startswith(
        "gradients: rounding: backward differs from the expected arrays by at most "
    )
    assert verdict.difference < 1e-5


@pytest.mark.parametrize(
    ("names", "change", "words"),
    [
        ([0, 1, 2, 3], lambda a: B * a,
         r"^dense_2.b\[\d\] is .*\(\d of 6 numbers differ\): it is multiplied by what may "
         "be the batch size, 20: is a mean mis.*; only dense_2.b and dense_2.W and dense_1.b and dense_1.W$"),
        ([4], lambda a: a / B, "dense_3.W.* divided by what may be the batch size, 20: .*; only dense_3.W$"),
        ([2], lambda a: a.T, r"dense_2.W\[0, 1\] is .*: it is transposed; only dense_"),
        ([0], lambda a: a.T, r"dense_1.W has shape \(6, 4\), expected \(4, 6\); it is transposed; only"),
        ([3], lambda a: 3 * a, "dense_2.b.* may be the batch size, 3: .*; only dense_2.b$"),
        ([1], lambda a: 1e-315 * a, "dense_1.b.* times the right one: look for"),
        ([1], lambda a: 0 * a, "dense_1.b.*it is 0: is it computed"),
        ([1], lambda a: np.nan * a, "dense_1.b.*it is not finite"),
        ([1], lambda a: a[0], r"dense_1.b has shape \(\), expected \(6,\); only"),
        ([5], lambda a: a + np.array([0, 0, 0.01]), r"dense_3.b\[2\] is .*\(1 of 3 numbers differ\): derive"),
    ],
)  # fmt: skip
def test_the_first_wrong_array_is_named(both, names, change, words):
    mine, expected = both
    changed = {name: change(a) if i in names else a for i, (name, a) in enumerate(mine.items())}
    verdict = compare_gradients(changed, expected)
    assert verdict.difference > 1e-3 or np.isnan(verdict.difference) or "finite" in words
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(verdict.problem)


@pytest.mark.parametrize("largest", [10.0, 1e-9])
@pytest.mark.parametrize(("dtype", "bound"), [("float64", 1e-5), ("float32", 1e-3)])
def test_the_limit_depends_on_the_dtype_and_the_largest_number(dtype, bound, largest):
    expected = {"W": largest * np.array([1.0, 0.1])}
    for factor in (0.5, 2.0):
        mine = largest * np.array([1.0, 0.1 + factor * bound])
        verdict = compare_gradients({"W": mine.astype(dtype)}, expected)
        assert verdict.holds == (factor < 1.0) == ("derive" not in verdict.problem)


@pytest.mark.parametrize(
    "mine", [{}, {"W": [1.0], "b": [1.0]}, {"V": [1.0]}, {"W": ["one"]}, {"W": None}, [1]]
)
def test_refuses_other_names_and_values(mine):
    with pytest.raises(InputError, match=r"W|gradients is"):
        compare_gradients(mine, {"W": [1.0]})
