"""One verdict for each kind of mistake: what fails, what is not judged, and the line that a failure names."""

import copy
import pickle
import types
from contextlib import nullcontext
from pathlib import Path

import array_api_compat.numpy as numpy_xp
import array_api_strict
import numpy as np
import pytest
import torch
from scipy import special

from array_agreement import Disagreement, InputError, NothingCompared, check_agreement
from array_agreement.oracle import Oracle

X = np.random.default_rng(0).normal(size=20)
LOW_RANK = np.random.default_rng(1).normal(size=(400, 3)) @ np.random.default_rng(2).normal(size=(3, 6))


def is_torch(xp):
    return "torch" in xp.__name__


def verdicts(f, *arrays, **options):
    """Return (backend, output) -> the verdict, whether or not the check fails."""
    try:
        agreement = check_agreement(f, *arrays, **options)
    except Disagreement as error:
        agreement = error.args[0]
    return {(v.backend, v.output): v for v in agreement.verdicts}


def weights(xp, x):
    y = x + 1
    w = xp.asarray([0.1, 0.2, 0.3])  # mistake
    return y[:3] * w


def window(xp, x):
    t = xp.linspace(0, 1, 20)  # mistake
    return xp.astype(t, x.dtype) * x


FORGOTTEN_DTYPES = {
    "asarray": weights,
    "linspace": window,
    "zeros": lambda xp, x: x * (xp.zeros(20) + 0.1),  # mistake
    "ones": lambda xp, x: xp.ones(20) / 3,  # mistake
    "arange": lambda xp, x: xp.arange(20.0),  # mistake
    "eye": lambda xp, x: xp.eye(4),  # mistake
    "integers": lambda xp, i: xp.astype(i, xp.float64) * (xp.ones(20) / 3),  # mistake
}


def line_of_mistake(f):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    first = f.__code__.co_firstlineno
    return next(n for n in range(first, first + 20) if "# mistake" in lines[n - 1])


@pytest.mark.parametrize("name", FORGOTTEN_DTYPES)
@pytest.mark.parametrize("backends", [["numpy", "torch"], ["torch", "numpy"]], ids=" ".join)
def test_a_forgotten_dtype_fails_in_any_order_of_the_backends(name, backends):
    f = FORGOTTEN_DTYPES[name]
    found = verdicts(f, np.arange(20) if name == "integers" else X, backends=backends)
    wrong = found["torch", "result"]
    assert found["numpy", "result"].agrees
    assert wrong.kind == "disagrees"
    assert "float32 roundings in a float64 result" in wrong.note
    assert f"{__file__}:{line_of_mistake(f)}" in wrong.note


def test_a_forgotten_dtype_is_float64_on_numpy():
    wrong = verdicts(weights, X, backends=["torch", "numpy"], dtype="float32")["numpy", "result"]
    assert "float64 of shape (3,), expected float32 of shape (3,)" in wrong.note
    assert f"new arrays are float64 on numpy; pass one at {__file__}:{line_of_mistake(weights)}" in wrong.note


CALLS_OTHER = r"itself .*f\(xp, x\).*from_torch"
CALLS_NUMPY = rf"NumPy itself .*{__file__}:\d+: write xp\."


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (torch.nn.Linear(20, 3), CALLS_OTHER), (torch.nn.Sequential(torch.nn.ReLU()), CALLS_OTHER),
        (torch.relu, CALLS_OTHER), (lambda xp, x: xp.sum(torch.ones(20) * x), CALLS_OTHER),
        (lambda x: pytest.importorskip("jax.numpy", reason="JAX").sum(x), CALLS_OTHER),
        (lambda x: np.maximum(x, 0), CALLS_NUMPY), (lambda x: np.sum(x), CALLS_NUMPY),
        (lambda x: torch.relu(torch.tensor(np.asarray(x))), "there is no bound"),
    ],
    ids=["Linear", "Sequential", "relu", "operator", "JAX", "ufunc", "sum", "converted"],
)  # fmt: skip
def test_a_function_of_one_library_fails_with_a_cure(f, message):
    with pytest.raises((Disagreement, InputError), match=message):
        check_agreement(f, X, backends=["numpy", "strict"], dtype="float32")


def unseeded(xp, x):
    return x + xp.asarray(np.random.default_rng().normal(size=20), dtype=x.dtype)


def mean_of_squares(xp, x):
    return xp.mean(x * x) - xp.mean(x) ** 2


NOT_JUDGED = {
    "random numbers": (unseeded, X, "two runs of the oracle differ"),
    "cancellation": (mean_of_squares, X + 1e8, "rounding decides all digits"),
    "zero that cancels": (lambda xp, x: xp.sum(x * 1e15 - x / 1e-15), X, "rounding decides all digits"),
    "cast of NaN": (lambda xp, x: xp.astype(xp.sqrt(x), xp.int32) * 10 < 500, X, "astype at {}"),
    "cast of 1e30": (lambda xp, x: xp.astype(x * 1e30, xp.int64), X, "astype at {}"),
    "complex infinity": (lambda xp, x: x * x, np.full(20, complex(np.inf, 1e308)), "multiply at {}"),
    "a branch": (lambda xp, x: x / 3 * 3 < x, np.abs(X), "rounding decides a branch"),
    "division by 0": (lambda xp, x: (x + 1) // x, np.asarray([0, 0]), "floor_divide at {}"),
    "shift": (lambda xp, x: x << 64, np.asarray([1, 3, 5]), "left_shift at {}"),
    "negative shift": (lambda xp, x: x >> -1, np.asarray([100, 300, 500]), "right_shift at {}"),
}


@pytest.mark.parametrize("name", NOT_JUDGED)
def test_what_the_function_or_the_standard_leaves_open_is_not_judged(name):
    f, x, note = NOT_JUDGED[name]
    backends = ["numpy", "strict"]
    for verdict in verdicts(f, x, backends=backends).values():
        assert verdict.kind == "not judged"
        assert note.format(f"{__file__}:{f.__code__.co_firstlineno}") in verdict.note
    check_agreement(f, x, backends=backends, max_unjudged=1)


def test_zero_is_judged():
    """Its bound is small compared with the arguments."""
    f = lambda xp, x: xp.sum(x / xp.sum(x) * 3) - 3  # noqa: E731
    assert verdicts(f, np.abs(X), backends=["torch"])["torch", "result"].agrees
    wrong = lambda xp, x: f(xp, x) + 1e-6 * is_torch(xp)  # noqa: E731
    assert verdicts(wrong, np.abs(X), backends=["torch"])["torch", "result"].kind == "two answers"


def test_max_unjudged_of_each_output():
    f = lambda xp, x: {"cast": xp.astype(xp.sqrt(x), xp.int32), "double": 2 * x}  # noqa: E731
    check_agreement(f, X, backends=["numpy"], max_unjudged={"cast": 0.7})
    with pytest.raises(Disagreement, match="cast: not judged"):
        check_agreement(f, X, backends=["numpy"], max_unjudged={"double": 0.7})
    with pytest.raises(InputError, match=r"names \['casts'\], expected outputs among \['cast', 'double'\]"):
        check_agreement(f, X, backends=["numpy"], max_unjudged={"casts": 1})
    with pytest.raises(InputError, match="max_unjudged is 10, expected shares from 0 to 1"):
        check_agreement(f, X, backends=["numpy"], max_unjudged=10)


@pytest.mark.parametrize(
    ("backends", "message"),
    [
        ("torch", r"backends is 'torch', expected a list: backends=\['torch'\]"),
        ([], "backends is empty"),
        (["numpy", "pytorch"], "'pytorch' is no array library here, expected numpy, torch"),
        (["dpnp"], "nothing was compared"),
    ],
)
def test_nothing_compared_is_an_error(backends, message):
    with pytest.raises(InputError, match=f"(?s){message}") as error:
        check_agreement(lambda xp, x: xp.exp(x), X, backends=backends)
    assert isinstance(error.value, NothingCompared) == (backends == ["dpnp"])


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_dtypes_without_a_bound_are_refused(dtype):
    with pytest.raises(InputError, match="expected float32 or float64"):
        check_agreement(lambda xp, x: xp.exp(x), X.astype(dtype))
    with pytest.raises(InputError, match="expected float32 or float64"):
        check_agreement(lambda xp, x: xp.astype(x, dtype) * 2, X, backends=["numpy"])


ALARMS = {
    "signs of zeros": (lambda xp, x: (1 / (0 * x), xp.atan2(0 * x, x)), X),
    "one ULP": (lambda xp, x: (xp.tanh(x), xp.exp(x), xp.expm1(x), xp.sinh(x)), np.linspace(-3, 2.7, 20_000)),
    "linspace": (lambda xp, x: x * xp.linspace(-1, 2, 20, dtype=x.dtype), X),
    "arange": (lambda xp, x: x * xp.arange(1.0, 3.0, 0.1, dtype=x.dtype), X),
    "added constant": (lambda xp, x: xp.cumulative_prod(x / (x + 1e-3)), np.linspace(0.5, 2, 20_000)),
    "casts": (lambda xp, x: xp.astype(x, xp.int8), np.asarray([-128.9, 127.9])),
    "constants": (lambda xp, x: (x > 0.1, x == 0.1, xp.clip(x, 0.1, 0.7)), np.asarray([0.1, 0.3])),
    "full": (lambda xp, x: x - xp.full((2,), 0.3, dtype=x.dtype), np.asarray([0.1, 0.3])),
    "rank": (lambda xp, x: xp.linalg.matrix_rank(x), LOW_RANK),
    "pinv": (lambda xp, x: 100 * xp.linalg.pinv(x), LOW_RANK),
    "unique": (lambda xp, x: xp.sort(xp.unique_values(x)), np.asarray([30, 1, 2, 70000, 1])),
    "integers": (lambda xp, x: (xp.ones(3) / 3, x << 1, x // 2), np.arange(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", ALARMS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_right_functions_agree(name, dtype):
    f, x = ALARMS[name]
    assert "rounding decides" not in str(check_agreement(f, x, dtype=dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_oracle_is_right_where_numpy_is_wrong(dtype):
    """NumPy's complex log1p has few digits near 0."""
    found = verdicts(lambda xp, x: xp.log1p(x), 1e-9 * (X + 1j * X[::-1]), dtype=dtype)
    assert {key[0]: v.kind for key, v in found.items()}["torch"] == "agrees"
    assert found["numpy", "result"].kind == "disagrees"


def test_another_answer_of_numpy_in_float64_may_be_right():
    check_agreement(lambda xp, x: x + xp.finfo(x.dtype).max, X, backends=["strict"], dtype="float32")
    check_agreement(lambda xp, x: x * (1 + 2e-15 * ("numpy" in xp.__name__)), X, backends=["strict"])


def test_signs_of_vectors_and_the_order_of_unique_elements_are_not_blamed():
    signs = lambda xp, x: (-1 if is_torch(xp) else 1) * xp.linalg.qr(x).Q  # noqa: E731
    order = lambda xp, x: xp.flip(xp.unique_values(x)) if is_torch(xp) else xp.unique_values(x)  # noqa: E731
    for f, x in ((signs, LOW_RANK[:, :3]), (order, np.asarray([30, 1, 2, 7]))):
        wrong = verdicts(f, x, backends=["torch"])["torch", "result"]
        assert wrong.kind == "two answers"
        assert "first wrong call: none" in wrong.note


def add_one(xp, x):
    y = x
    if is_torch(xp):
        y[1] += 1  # mistake
    return 2 * y


def test_arguments_are_compared_after_the_call():
    found = verdicts(lambda xp, x: (add_one(xp, x), x + 0)[1] - x, X, backends=["torch"], allow_vacuous=True)
    assert not found["torch", "argument 0 after the call"].agrees

    def fill(xp, x):
        x[...] = 2 * x

    filled = verdicts(fill, X)["torch", "argument 0 after the call"]
    assert filled.agrees
    assert f"f writes into it at {__file__}:{fill.__code__.co_firstlineno + 1}" in filled.note


def test_an_exception_on_numpy_is_a_verdict():
    def f(xp, x):
        return 2 * x if is_torch(xp) else x[50]  # mistake

    found = verdicts(f, X, backends=["torch"])
    assert {key[0]: v.kind for key, v in found.items()} == {"torch": "not judged", "numpy": "disagrees"}
    assert all("IndexError: index 50" in v.note for v in found.values())
    assert all(f"at {__file__}:{line_of_mistake(f)}" in v.note for v in found.values())


@pytest.mark.parametrize("name", ["eigvals", "eigvalsh"])
def test_eigenvalues_are_compared_as_a_set(name):
    def f(xp, x, factor):
        values = getattr(xp.linalg, name)(x)
        return factor * xp.flip(values) if is_torch(xp) else values

    x = X[:16].reshape(4, 4)
    check_agreement(f, x, 1, backends=["torch"])
    with pytest.raises(Disagreement):
        check_agreement(f, x, 1.0001, backends=["torch"])


def test_a_number_is_no_array():
    f = lambda xp, x: float(xp.sum(x)) if is_torch(xp) else xp.sum(x)  # noqa: E731
    assert "a Python number, expected torch array on cpu" in verdicts(f, X)["torch", "result"].note
    f = lambda xp, x: xp.sum(x) if is_torch(xp) else float(xp.sum(x))  # noqa: E731
    assert "array on cpu, expected a Python number" in verdicts(f, X)["torch", "result"].note


@pytest.mark.parametrize("x", [3.0, [0.1, 0.2], [[1, 2], [3, 4.5]], np.float64(0.5), 2j], ids=str)
def test_numbers_and_lists_are_judged(x):
    for f in (lambda xp, x: xp.exp(x), lambda xp, x: x * 2):
        assert {v.kind for v in verdicts(f, x).values()} == {"agrees"}
    (plain,) = Oracle(lambda xp, n: xp.exp(xp.full((2,), n)), [0.5]).args[0]
    assert plain == 0.5
    assert isinstance(plain, float)


def test_namespaces_and_arrays_can_be_copied_and_pickled():
    def f(xp, x):
        if not is_torch(xp):
            assert copy.copy(xp) is copy.deepcopy(xp) is pickle.loads(pickle.dumps(xp)) is xp
        copies = [copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))]
        for i, y in enumerate(copies):
            y += i
        assert hasattr(x, "__iter__")
        return xp.exp(sum(copies)) + sum(iter(x))

    assert verdicts(f, X, backends=["torch"])["torch", "result"].ratio > 0
    with pytest.raises(Disagreement, match="TypeError"):
        check_agreement(lambda xp, x: list(xp.sum(x)), X)


def test_a_cache_by_pickles_does_not_repeat_results_of_another_run():
    cache = {}
    f = lambda xp, x: cache.setdefault(pickle.dumps(x), xp.exp(9 * x))  # noqa: E731
    check_agreement(f, X, dtype="float32")


class Scaler:
    def fit(self, xp, x):
        self.mean_ = xp.mean(x)
        self.scale_ = x.std() if is_torch(xp) else xp.std(x)  # mistake
        return self

    def transform(self, x):
        return (x - self.mean_) / self.scale_


def in_return(xp, x):
    y = x + 1
    return y * (1 + 1e-6 * is_torch(xp))  # mistake


def in_branch(xp, x):
    y = x + 1
    if is_torch(xp):
        y = y.abs()  # mistake
    z = 2 * y
    return xp.sum(z)


def in_dtype(xp, x):
    order = xp.argsort(x)
    if is_torch(xp):
        order = order.int()  # mistake
    return order


def in_shape(xp, x):
    total = xp.sum(x, keepdims=not is_torch(xp))  # mistake
    return 2 * total


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (add_one, "x"),
        (in_return, "the result"),
        (in_branch, "y"),
        (in_dtype, "order"),
        (in_shape, "total"),
        (Scaler.fit, "self.scale_"),
    ],
    ids=lambda x: getattr(x, "__qualname__", ""),
)
def test_the_place_is_the_statement_that_set_the_variable(f, name):
    call = (lambda xp, x: Scaler().fit(xp, x).transform(x)) if f is Scaler.fit else f
    for dtype in ("float32", "float64"):
        note = verdicts(call, X, backends=["torch"], dtype=dtype)["torch", "result"].note
        assert f"they diverge at {__file__}:{line_of_mistake(f)}, which sets '{name}" in note


@pytest.mark.parametrize("name", ["jax", "jax:jit", "jax:cpu", "dask", "dask.array"])
def test_lazy_libraries_by_name(name):
    pytest.importorskip(name.partition(":")[0].partition(".")[0])
    assert verdicts(lambda xp, x: xp.exp(x) / xp.sum(x), X, backends=[name])[name, "result"].ratio > 0


EXACT = {
    "exp": lambda xp, x: xp.exp(0 * x),
    "pow": lambda xp, x: xp.pow(x / x, x),
    "xlogy": lambda xp, x: special.xlogy(x, x / x),
    "multiply": lambda xp, x: 2 * x,
    "square": lambda xp, x: xp.round(9 * x) ** 2,
    "sum": lambda xp, x: xp.sum(x / x),
    "arange": lambda xp, x: xp.arange(0, 2, 0.25),
}


@pytest.mark.parametrize("name", EXACT)
def test_results_that_the_standard_fixes_have_no_error(name):
    bound = Oracle(EXACT[name], [X]).bounds("float64")["result"]
    assert np.all(bound.bound == 2.0**-53 * np.abs(bound.exact) + 2.0**-1022)


def test_complex_functions_near_a_pole_may_err_by_the_rounding_of_their_argument():
    bound = Oracle(lambda xp, x: xp.tanh(x), [np.asarray([1e-3 + 1.5708j])]).bounds("float64")["result"]
    assert 1e3 < bound.bound[0] / np.abs(bound.exact[0]) / 2.0**-53 < 1e5
    bound = Oracle(lambda xp, x: xp.acos(x), [np.asarray([1 + 7e-11 + 1e-10j])]).bounds("float64")["result"]
    assert bound.bound[0] / np.abs(bound.exact[0]) / 2.0**-53 < 100  # 1 - z is exact


def test_jax_has_its_own_dtype_of_searchsorted():
    narrow = lambda *arrays: np.searchsorted(*arrays).astype(np.int32)  # noqa: E731
    xp = types.SimpleNamespace(**{**vars(numpy_xp), "__name__": "jax.numpy", "searchsorted": narrow})
    found = verdicts(lambda xp, x: 3 * xp.searchsorted(xp.sort(x), x), X, backends=[xp, "numpy"])
    assert {v.ratio for v in found.values()} == {0}


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), torch.float32, array_api_strict.float32])
def test_numpy_scalars_and_dtypes_are_those_of_each_library(dtype):
    f = lambda xp, x, n, dtype: xp.astype(x, dtype) * int(type(n) is int)  # noqa: E731
    assert {v.kind for v in verdicts(f, X, np.int64(2), kwargs={"dtype": dtype}).values()} == {"agrees"}


@pytest.mark.parametrize("maker", ["jax_autojit", "_dask_wrap", "deprecated"])
def test_the_oracle_calls_the_function_below_its_compiler(maker):
    def compiled(xp, x):
        raise AssertionError

    wrapper = types.FunctionType(compiled.__code__.replace(co_qualname=f"{maker}.<locals>.f"), {})
    wrapper.__wrapped__ = lambda xp, x: xp.exp(x)
    with nullcontext() if maker != "deprecated" else pytest.raises(AssertionError):
        check_agreement(wrapper, X)
