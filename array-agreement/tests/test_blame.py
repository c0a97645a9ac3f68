"""Which side is called wrong, where runs diverge, and what a failure says."""

from types import SimpleNamespace

import array_api_compat.torch as torch_xp
import numpy as np
import pytest

from array_agreement import Disagreement, check_agreement
from array_agreement.oracle import Oracle
from array_agreement.targets import Target

X = np.random.default_rng(0).normal(size=(4, 5))


def failure(f, *arrays, **options):
    with pytest.raises(Disagreement) as error:
        check_agreement(f, *arrays, **options)
    return error.value.args[0]


def torch_with(**functions):
    """Return torch as a target with some functions replaced."""
    return Target("mistaken", SimpleNamespace(**{**vars(torch_xp), **functions}))


def halve_repeatedly(xp, x, n):
    while n > 2:
        n /= 2  # in place: NumPy's scalars are immutable, other 0-dimensional arrays are not
    return x * n


def halve(xp, x, order):
    order = xp.asarray(order, dtype=x.dtype)
    order = order[()]
    first = order
    halve_repeatedly(xp, x, order)
    return x**first


@pytest.mark.parametrize("backends", [["numpy", "torch", "strict"], ["torch"]])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_two_answers_blame_nobody(backends, dtype):
    """NumPy is in the report even if it was not asked for."""
    agreement = failure(halve, X, 8, backends=backends, dtype=dtype)
    (wrong,) = (v for v in agreement.verdicts if not v.agrees)
    assert (wrong.backend, wrong.kind) == ("numpy", "two answers")
    assert "no rule decides who is right" in wrong.note
    line = halve.__code__.co_firstlineno + 4
    assert f"they diverge at {__file__}:{line}, which sets 'order': numpy has 8.0 ({dtype})" in wrong.note


def test_a_backend_is_wrong_if_its_float64_answer_is_right():
    wrong = torch_with(exp=lambda x: torch_xp.exp(x) * (1 + 1e-5 * (x.dtype == torch_xp.float32)))
    agreement = failure(lambda xp, x: xp.exp(x), X, backends=[wrong], dtype="float32")
    assert [v.kind for v in agreement.verdicts] == ["disagrees"]


def test_a_backend_is_wrong_if_the_wrong_call_has_an_extended_precision():
    wrong = torch_with(sum=lambda x: torch_xp.sum(x) * (1 + 1e-3))
    agreement = failure(lambda xp, x: xp.sum(x) ** 2, X, backends=[wrong])
    assert [v.kind for v in agreement.verdicts] == ["disagrees"]
    assert ", sum: error / bound = " in agreement.verdicts[0].note


def test_jax_may_multiply_by_the_reciprocal():
    """Also where the quotient is exact in its dtype, as 49 / 49."""
    divide = lambda x, y: x * (1 / y)  # noqa: E731
    f = lambda xp, x: xp.log(xp.divide(x, x[-1:]))  # noqa: E731
    assert failure(f, np.arange(1.0, 50), backends=[torch_with(divide=divide)]).verdicts[0].ratio > 1
    check_agreement(f, np.arange(1.0, 50), backends=[torch_with(divide=divide, __name__="jax.numpy")])


def convert_down_on_torch(xp, x):
    if "torch" in xp.__name__:
        x = xp.astype(xp.astype(x, xp.float32), xp.float64)
    return xp.sum(x)


def divide_on_torch(xp, x):
    if "torch" not in xp.__name__:
        return x / 3
    return x * 0.33333


def test_code_that_only_one_backend_runs():
    agreement = failure(convert_down_on_torch, X, backends=["numpy", "torch"])
    line = convert_down_on_torch.__code__.co_firstlineno + 2
    assert f"they diverge at {__file__}:{line}, which sets 'x': torch has" in agreement.verdicts[1].note
    agreement = failure(divide_on_torch, X, backends=["torch"])
    line = divide_on_torch.__code__.co_firstlineno + 3
    assert f"they diverge at {__file__}:{line}, which sets 'the result': torch" in agreement.verdicts[0].note
    assert f"there is code that only torch runs, first {__file__}:{line}" in agreement.verdicts[0].note


def test_a_failure_shows_the_element_and_the_tolerances():
    wrong = torch_with(exp=lambda x: torch_xp.exp(x) + torch_xp.asarray([[0.0, 0.0], [0.0, 0.5]]))
    agreement = failure(lambda xp, x: xp.exp(x), np.zeros((2, 2)), backends=["numpy", wrong])
    element = agreement.verdicts[1].element
    assert element.startswith("at [1, 1]: got 1.5, expected 1.0, allowed error ")
    allowed, ratio = (float(text.split()[-1]) for text in element.split(", ")[-2:])
    assert allowed * ratio == pytest.approx(0.5, rel=0.01)


def test_the_tolerances_cover_the_bound_and_little_more():
    agreement = check_agreement(lambda xp, x: (xp.exp(x), x + 1), X, backends=["torch"], dtype="float32")
    bounds = Oracle(lambda xp, x: (xp.exp(x), x + 1), [X], dtype="float32").bounds("float32")
    assert list(agreement.tolerances()) == [("0", "float32"), ("1", "float32")]
    for (output, dtype), (rtol, atol) in agreement.tolerances().items():
        bound = bounds[output]
        allowed = rtol * np.abs(bound.exact) + atol
        assert np.all(allowed >= bound.bound)
        assert np.min(allowed / bound.bound) < 1.1
        assert f"{output}, {dtype}: rtol={rtol:g}, atol={atol:g} cover the bound" in str(agreement)


def test_vacuous_outputs_fail():
    def leave(xp, x):
        return xp.asarray(np.exp(np.asarray(x)))

    for f in (leave, lambda xp, x: np.sum(x), lambda xp, x: x, lambda xp, x: 3.0):
        agreement = failure(f, X, backends=["numpy"])
        assert [v.kind for v in agreement.verdicts] == ["vacuous"]
        assert "nothing was computed by numpy" in str(agreement)
        check_agreement(f, X, backends=["numpy"], allow_vacuous=True)
    check_agreement(lambda xp, x: float(xp.sum(x)), X, backends=["numpy"])


def test_a_tenth_may_be_unjudged():
    x = np.ones(20)
    f = lambda xp, x, n: (x / 3 * 3 < x) | (xp.arange(20) >= n)  # noqa: E731  # rounding decides the first n
    check_agreement(f, x, 2, backends=["numpy"])
    agreement = failure(f, x, 3, backends=["numpy"])
    assert "numpy, result: not judged, error / bound = 0, 85% judged" in str(agreement)
    check_agreement(f, x, 3, backends=["numpy"], max_unjudged=0.15)


def test_says_how_many_digits_are_kept():
    f = lambda xp, x: xp.mean(x * x) - xp.mean(x) ** 2  # noqa: E731
    lost = check_agreement(f, X + 1000, backends=["torch"], dtype="float32", max_unjudged=1).verdicts[0]
    assert "keeps about 0 of 7 digits" in str(lost)
    verdict = check_agreement(f, X + 1000, backends=["torch"]).verdicts[0]
    assert 8 < verdict.digits[0] < 12


def test_infinities_at_poles_are_compared():
    """A pole at an exact argument is not a matter of rounding."""
    special = pytest.importorskip("scipy.special")
    wrong = torch_with(special=SimpleNamespace(gammaln=lambda x: torch_xp.where(x < 0, 1e30, x)))

    def f(xp, x):
        return xp.special.gammaln(x) if "numpy" not in xp.__name__ else special.gammaln(x)

    agreement = failure(f, np.asarray([-1.0, 3.0]), backends=[wrong])
    assert "at [0]: got 1e+30, expected inf" in str(agreement)


def test_names_a_call_that_is_not_in_the_namespace():
    special = pytest.importorskip("scipy.special")
    agreement = failure(lambda xp, x: special.dawsn(x), X, backends=["numpy", "strict"])
    assert agreement.verdicts[0].agrees
    assert ", special.dawsn: error / bound = inf, numpy array on cpu" in agreement.verdicts[1].note


def test_arrays_in_lists_dicts_and_keywords():
    def f(xp, xs, named, weight=None):
        return xp.concat(xs) * named["a"] + weight

    check_agreement(f, [X, X], {"a": X[:1]}, kwargs={"weight": X[:1]})


@pytest.mark.parametrize("name", ["qr", "svd", "slogdet"])
def test_results_of_torch_have_the_names_of_the_standard(name):
    check_agreement(lambda xp, x: getattr(xp.linalg, name)(x), X[:, :4])


def test_the_axis_of_a_ufunc_in_the_search():
    wrong = torch_with(sqrt=lambda x: torch_xp.sqrt(x) * 1.001)
    agreement = failure(lambda xp, x: xp.sqrt(xp.vecdot(x, x, axis=-1)), X, backends=[wrong])
    assert ", sqrt: error / bound = " in agreement.verdicts[0].note
