"""The watched namespace: array_namespace finds it; it has float32's dtypes and NumPy's values."""

import numpy as np
import pytest
from array_api_compat import array_namespace, is_array_api_obj, is_numpy_namespace

from array_agreement.bounds import t_quantile
from array_agreement.rounding import Rounding
from array_agreement.watched import WatchedNamespace


@pytest.fixture
def xp():
    return WatchedNamespace(wide=True)


def test_array_namespace_finds_it(xp):
    x = xp.asarray([1.0, 2.0])
    assert array_namespace(x, x) is xp
    assert is_array_api_obj(x)
    assert not is_numpy_namespace(xp)


def test_declares_float32_and_stores_float64(xp):
    x = xp.asarray(np.asarray([1.0, 3.0], dtype=np.float32))
    y = x / 3
    assert (y.dtype, y.value.dtype) == (np.float32, np.float64)
    assert y.value[0] == 1 / 3
    assert xp.finfo(y.dtype).eps == np.finfo(np.float32).eps
    assert xp.result_type(x, xp.float32) == np.float32
    assert xp.astype(x, xp.float64).dtype == np.float64
    assert xp.argmax(x).dtype == np.int64
    assert xp.zeros(3, dtype=xp.float32).dtype == np.float32
    assert xp.asarray(0.1, dtype=xp.float32).value == np.float32(0.1)


def test_the_default_dtype_can_be_float32():
    xp = WatchedNamespace(wide=True, default="float32")
    assert xp.ones(2).dtype == xp.asarray(0.5).dtype == (xp.asarray([1, 2]) / 2).dtype == np.float32
    assert xp.ones(2, dtype=xp.float64).dtype == np.float64
    assert xp.__array_namespace_info__().default_dtypes()["real floating"] == np.float32


def test_writes_go_through_views(xp):
    x = xp.zeros((2, 2), dtype=xp.float32)
    y = x
    xp.reshape(x, (4,))[1:3] = 5.0
    x += 1
    x[x > 5] = 0.5
    assert y.value.tolist() == [[1.0, 0.5], [0.5, 1.0]]


@pytest.mark.parametrize(
    "f",
    [
        lambda xp, x: 2 - x, lambda xp, x: 2**x, lambda xp, x: x @ x, lambda xp, x: -abs(x) % 2,
        lambda xp, x: xp.linalg.vector_norm(x), lambda xp, x: xp.unique_all(x).counts,
        lambda xp, x: xp.asarray([1, 2]) << 3, lambda xp, x: ~(x > 1), lambda xp, x: len(x) + float(x[0]),
        lambda xp, x: np.exp(x), lambda xp, x: xp.var(x, correction=1),
        lambda xp, x: xp.broadcast_arrays(x, x)[1], lambda xp, x: xp.stack([x, x]),
        lambda xp, x: xp.unstack(x[:2])[0] + xp.unstack(x)[2],
    ],
)  # fmt: skip
def test_unperturbed_values_are_those_of_numpy(xp, f):
    import array_api_compat.numpy as numpy

    xp.hook = Rounding()
    x = np.asarray([1.0, 2.0, 0.5])
    got = f(xp, xp.asarray(x.astype(np.float32)))
    np.testing.assert_allclose(np.asarray(getattr(got, "value", got)), f(numpy, x), rtol=1e-15)


@pytest.mark.parametrize("n", [8, 16, 32])
@pytest.mark.parametrize("chance", [1e-3, 1e-6, 1e-8])
def test_student_quantile(n, chance):
    stats = pytest.importorskip("scipy.stats")
    assert t_quantile(n, chance) == pytest.approx(stats.t.ppf(1 - chance / 2, n), rel=0.05)


def test_real_eigenvalues_stay_real(xp):
    """A perturbed imaginary part would let rounding decide whether it is 0."""
    xp.hook = Rounding(np.random.default_rng(0))
    assert not np.imag(xp.linalg.eigvals(xp.asarray(np.diag([1.0, 2.0, 3.0]))).value).any()


def test_integers_remain_integers_in_calls_that_the_model_does_not_know(xp):
    xp.hook = Rounding(np.random.default_rng(0))
    x = xp.asarray(np.asarray([1.0, 2, 5, 10]))
    assert xp.diff(x, n=2).value.tolist() == [2, 2]
    assert xp.diff(x / 3).value.tolist() != [1 / 3, 1, 5 / 3]


def test_lstsq_of_nan_raises(xp):
    """LAPACK may never end, and no time limit of a mutant can interrupt it."""
    x = xp.asarray(np.full((3, 2), np.nan))
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        xp.linalg.lstsq(x, x)


def test_asarray_converts_integers_to_float64(xp):
    """NumPy's dtype float64 is equal to None, the default of asarray."""
    x = xp.asarray(xp.asarray(np.arange(3)), dtype=np.dtype("float64"))
    assert x.dtype == np.float64
