"""check_agreement detects wrong backends, accepts right ones, and names the first wrong call."""

import numpy as np
import pytest
from array_api_compat import array_namespace

from array_agreement import Disagreement, InputError, check_agreement
from array_agreement.calls import WIDER_DTYPES
from array_agreement.mutants import PlantedMistake
from array_agreement.oracle import Oracle


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def naive_variance(xp, x):
    return xp.mean(x * x, axis=0) - xp.mean(x, axis=0) ** 2


def naive_logsumexp(xp, x):
    return xp.log(xp.sum(xp.exp(x), axis=1))


def hilbert(xp, b):
    i = xp.astype(xp.arange(b.shape[0]), xp.float32)
    return xp.linalg.solve(1 / (i[:, None] + i[None, :] + 1), b[:, None])


ILL_CONDITIONED = {
    "variance": (naive_variance, normal(50, 3) + 1000),
    "logsumexp": (naive_logsumexp, 10 * normal(20, 5)),
    "logsumexp that overflows": (naive_logsumexp, 60 * normal(20, 5)),
    "hilbert": (hilbert, normal(4)),
}


@pytest.mark.parametrize("name", ILL_CONDITIONED)
@pytest.mark.parametrize("seed", range(10))
def test_ill_conditioned_functions_agree(name, seed):
    f, x = ILL_CONDITIONED[name]
    check_agreement(f, x + normal(*x.shape, seed=seed))


@pytest.mark.parametrize(
    ("name", "operation"), [("variance", "mean"), ("logsumexp", "sum"), ("hilbert", "divide")]
)
def test_names_the_first_wrong_call(name, operation):
    f, x = ILL_CONDITIONED[name]
    mistake = "narrow result" if operation == "divide" else "narrow accumulation"
    with pytest.raises(Disagreement, match="numpy with narrow") as caught:
        check_agreement(f, x, backends=["numpy", PlantedMistake(operation, mistake).backend()])
    healthy, planted = caught.value.args[0].verdicts
    assert healthy.agrees
    assert not planted.agrees
    assert (
        f"test_check.py:{f.__code__.co_firstlineno + 1 + (name == 'hilbert')}, {operation}:" in planted.note
    )


def test_accepts_functions_with_and_without_a_namespace():
    def center(x):
        xp = array_namespace(x)
        return x - xp.mean(x)

    def center_with(x, *, xp):
        return x - xp.mean(x)

    for f, kwargs in ((center, {}), (lambda xp, x: x - xp.mean(x), {}), (center_with, {"xp": np})):
        verdicts = check_agreement(f, normal(9), kwargs=kwargs).verdicts
        assert tuple(v.backend for v in verdicts) == ("numpy", "torch", "strict")


@pytest.mark.parametrize(
    ("f", "note"),
    [
        (lambda xp, x: x[1:] if "torch" in xp.__name__ else x, "of shape"),
        (lambda xp, x: xp.astype(x, xp.float32) if "torch" in xp.__name__ else x, "float32"),
        (lambda xp, x: xp.astype(x, xp.complex128) if "torch" in xp.__name__ else x, "complex128"),
        (lambda xp, x: xp.diff(x, 1) if "torch" in xp.__name__ else x, "raises TypeError"),
        (lambda xp, x: (x, x) if "torch" in xp.__name__ else x, "expected"),
    ],
)
def test_compares_shapes_dtypes_exceptions_and_output_names(f, note):
    with pytest.raises(Disagreement, match=note):
        check_agreement(f, normal(9), backends=["torch"])


def test_exact_results_must_be_equal():
    x = np.asarray([3, 1, 2])
    check_agreement(lambda xp, x: xp.argsort(x), x)
    with pytest.raises(Disagreement, match="inf"):
        check_agreement(lambda xp, x: xp.argmax(x) + int("torch" in xp.__name__), x, backends=["torch"])


def test_nan_and_infinity_must_be_equal():
    x = np.asarray([1.0, np.nan, np.inf, -np.inf, 0.0])
    check_agreement(lambda xp, x: (1 / x, x * 2, xp.isnan(x), xp.exp(x)), x)
    with pytest.raises(Disagreement, match="inf"):
        check_agreement(lambda xp, x: xp.where(xp.isnan(x), 0.0 * x[0], x) if "torch" in xp.__name__ else x,
                        x, backends=["torch"])  # fmt: skip


def test_the_next_number_is_that_of_the_declared_dtype():
    for dtype in ("float32", "float64"):
        f = lambda xp, x: xp.nextafter(x, x + 1)  # noqa: E731
        check_agreement(f, normal(9), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fourier_transforms_agree_if_the_mean_dominates(dtype):
    """The errors of all elements grow with the largest one, which is the sum here."""
    for seed in range(4):
        x = np.random.default_rng(seed).random((16, 16, 16)) + 0j
        check_agreement(lambda xp, x: xp.fft.fftn(x), x, dtype=dtype)


def test_compares_complex_numbers_and_empty_axes():
    x = normal(16) + 1j * normal(16)
    check_agreement(lambda xp, x: xp.fft.ifft(xp.fft.fft(x) * 2), x)
    check_agreement(lambda xp, x: (xp.abs(x), xp.sign(x)), normal(900) + 1j * normal(900, seed=1))
    check_agreement(lambda xp, x: (xp.sum(x), xp.prod(x, axis=0)), np.ones((0, 3)))


def test_does_not_judge_a_function_that_rounding_makes_raise():
    def f(xp, x):
        if bool(xp.any(x / 3 * 3 < x)):
            raise ValueError("rounding")
        return 2 * x

    with pytest.raises(Disagreement, match=r"not judged.* 0% judged"):
        check_agreement(f, np.asarray([1.0, 2.0]), backends=["numpy"])


@pytest.mark.parametrize("name", ILL_CONDITIONED)
def test_float64_without_a_wider_long_double(name, monkeypatch):
    """On some platforms the oracle rounds like the backends; its error is then part of the bound."""
    for char in "dD":
        monkeypatch.setitem(WIDER_DTYPES, np.dtype(char), np.dtype(char))
    check_agreement(lambda xp, x: xp.astype(x * 2, xp.float64) - 3 == 1, np.arange(4))
    f, x = ILL_CONDITIONED[name]
    for seed in range(5):
        arrays = [x + normal(*x.shape, seed=seed)]
        check_agreement(f, *arrays, seed=seed)
    with pytest.raises(Disagreement):
        check_agreement(lambda xp, x: xp.sum(x / 3) * (1 + 1e-13 * ("torch" in xp.__name__)), x**2)


def test_rejects_functions_without_outputs():
    with pytest.raises(InputError, match="f returns no array and no number"):
        check_agreement(lambda xp, x: None, normal(3))


@pytest.mark.parametrize("k", [10, 100, 1000])
@pytest.mark.parametrize("f", [lambda xp, x: xp.sum(x, axis=0), lambda xp, x: xp.matmul(x.T, x)])
def test_bounds_are_within_a_factor_of_10_of_analytic_bounds(f, k):
    """The analytic bound is u sqrt(k) sum|x|, as in docs/agreement.md."""
    x = normal(k, 4).astype(np.float32)
    bound = Oracle(f, [x]).bounds("float64")["result"].bound
    size = np.sum(np.abs(x), axis=0) if bound.ndim == 1 else np.abs(x.T) @ np.abs(x)
    analytic = 2.0**-24 * np.sqrt(k) * size
    assert np.all(bound < 10 * analytic)
    assert np.all(bound > analytic / 10)
