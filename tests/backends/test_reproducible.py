"""The reproducible precision: accurate functions, the order of sums, and equal bits on every backend."""

from types import SimpleNamespace

import array_api_compat.numpy as npx
import numpy as np
import pytest
from helpers import BACKENDS, both_dtypes, float64_is_slow, input_error, others_slow, same_bits
from kernel_checks import LayoutContender, calls_of

from backends import get_backend
from backends.numpy.backend import NumpyBackend
from backends.reference import Kernels, declarations
from backends.reproducible import functions, make_reproducible

ANGLES = ("cos", "sin")
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 88.8, -88.0, -103.5, -104.5, 1e30, -1e30, 2.0]


def open_backend(make_backend, backend_id, dtype="float32"):
    """Return a backend in the reproducible precision; skip the test if it cannot run."""
    return make_reproducible(make_backend(backend_id, dtype))


def canonical(array):
    """Return the array with one kind of NaN: IEEE 754 leaves the bits of a NaN open."""
    array = np.array(array)
    return np.where(np.isnan(array), array.dtype.type(np.nan), array) if array.dtype.kind == "f" else array


def arguments_of(name, dtype, n):
    """Return n arguments of a function: all signs and exponents, or angles of up to 1000."""
    rng = np.random.default_rng(5)
    if name in ANGLES:
        return rng.uniform(-1e3, 1e3, n).astype(dtype)
    bits = rng.integers(0, 2**63, n, dtype=np.int64) << 1
    x = bits.view(np.float64) if dtype == "float64" else bits.astype(np.uint32).view(np.float32)
    return np.concatenate([np.asarray(SPECIAL, dtype), x, rng.normal(0.0, 2.0, n).astype(dtype)])


ACCURACIES = [
    (np.float32, np.float64, 100_000, 0.51),
    pytest.param(np.float32, np.float64, 10_000_000, 0.51, marks=pytest.mark.slow),
    (np.float64, np.longdouble, 100_000, 3.0),
]
"""dtype, a wider dtype to compare with, count of numbers, and bound of the error in ULP."""


@pytest.mark.parametrize(("dtype", "wider", "n", "bound"), ACCURACIES)
@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_functions_are_accurate(name, dtype, wider, n, bound):
    if np.finfo(wider).nmant <= np.finfo(dtype).nmant:
        pytest.skip("this system's long double is not wider than float64")
    with np.errstate(all="ignore"):
        x = arguments_of(name, np.dtype(dtype).name, n)
        found = functions.FUNCTIONS[name](npx, x)
        exact = getattr(np, name)(x.astype(wider))
        rounded = exact.astype(dtype)
        finite = np.isfinite(rounded)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found[~finite], rounded[~finite])
        error = np.abs(found[finite].astype(wider) - exact[finite]) / np.spacing(np.abs(rounded[finite]))
    assert np.max(error) < bound


@pytest.mark.parametrize("name", functions.FUNCTIONS)
def test_functions_keep_the_sign_of_zero_and_refuse_integers(name):
    zeros = np.asarray([0.0, -0.0], dtype=np.float32)
    with np.errstate(divide="ignore"):
        expected = getattr(np, name)(zeros)
        assert same_bits(functions.FUNCTIONS[name](npx, zeros), expected)
    with pytest.raises(TypeError, match="expected float32 or float64"):
        functions.FUNCTIONS[name](npx, np.arange(3))


class InaccurateRoot:
    """NumPy with a square root that is up to two units in the last place off."""

    def __getattr__(self, name):
        return getattr(npx, name)

    def sqrt(self, x):
        steps = np.random.default_rng(1).integers(-2, 3, x.shape)
        return np.sqrt(x) + steps * np.spacing(np.sqrt(x))


def test_float64_roots_are_correctly_rounded_whatever_the_library_gives():
    hard = (1.0 + np.arange(1, 5000) * 2.0**-26) ** 2
    powers = 4.0 ** np.arange(-500, 500)
    x = np.concatenate(
        [hard, np.nextafter(hard, 0.0), powers, np.nextafter(powers, 0.0), np.nextafter(powers, np.inf)]
    )
    x = np.concatenate([x, np.abs(arguments_of("sqrt", "float64", 20000))])
    x = x[np.isfinite(x) & (x > 0)]
    np.testing.assert_array_equal(functions.square_root(InaccurateRoot(), x), np.sqrt(x))


# --------------------------------------------------------------------------- order of sums


def product_in_order(a, b):
    """The definition, one number at a time."""
    result = np.empty((len(a), b.shape[1]), dtype=a.dtype)
    for i, j in np.ndindex(*result.shape):
        total = a[i, 0] * b[0, j]
        for k in range(1, a.shape[1]):
            total = total + a[i, k] * b[k, j]
        result[i, j] = total
    return result


def sum_by_definition(numbers):
    numbers = list(numbers)
    while len(numbers) > 1:
        half = len(numbers) // 2
        pairs = [a + b for a, b in zip(numbers[:half], numbers[len(numbers) - half :], strict=True)]
        numbers = pairs + numbers[half : len(numbers) - half]
    return numbers[0]


@both_dtypes
@pytest.mark.parametrize("backend_id", BACKENDS)
def test_products_and_sums_have_their_order(make_backend, backend_id, dtype):
    backend = open_backend(make_backend, backend_id, dtype)
    assert backend.describe()["precision"] == "reproducible"
    rng = np.random.default_rng(2)
    for n, depth, m in ((1, 1, 1), (3, 7, 5), (5, 66, 3), (2, 131, 9), (0, 3, 4)):
        a, b = rng.normal(size=(n, depth)).astype(dtype), rng.normal(size=(depth, m)).astype(dtype)
        for left, right in ((a, b), (np.ascontiguousarray(a.T).T, np.ascontiguousarray(b.T).T)):
            found = backend.to_host(backend.xp.matmul(backend.from_host(left), backend.from_host(right)))
            assert same_bits(np.ascontiguousarray(found), product_in_order(a, b))
    x = rng.normal(size=(6, 37)).astype(dtype)
    moved = backend.from_host(x)
    along = backend.to_host(backend.xp.sum(moved, axis=1))
    assert same_bits(np.array(along), np.asarray([sum_by_definition(row) for row in x]))
    everything = backend.to_host(backend.xp.sum(moved))
    assert everything == sum_by_definition([sum_by_definition(row) for row in x])
    mean = backend.to_host(backend.xp.mean(moved, axis=0))
    assert same_bits(np.array(mean), np.asarray([sum_by_definition(c) / x.dtype.type(6) for c in x.T]))


def test_products_of_vectors_stacks_and_integers():
    space = get_backend("numpy", precision="reproducible").xp
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(4, 5))
    np.testing.assert_allclose(space.matmul(a, b), a @ b, rtol=1e-14)
    np.testing.assert_allclose(space.matmul(a[0, 0], b), a[0, 0] @ b, rtol=1e-14)
    np.testing.assert_allclose(space.matmul(a, b[:, 0]), a @ b[:, 0], rtol=1e-13)
    assert space.matmul(b.T, b).shape == (5, 5)
    np.testing.assert_array_equal(space.matmul(np.eye(2, dtype=int), np.ones((2, 2), int)), np.ones((2, 2)))
    np.testing.assert_array_equal(space.matmul(np.ones((2, 0)), np.ones((0, 3))), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="mismatch"):
        space.matmul(a, b.T)


def test_sums_and_means():
    space = get_backend("numpy", precision="reproducible").xp
    x = np.random.default_rng(2).normal(size=(4, 5, 3))
    for axis in (None, 0, -1, (0, 2)):
        for keepdims in (False, True):
            for name in ("sum", "mean"):
                expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
                found = getattr(space, name)(x, axis=axis, keepdims=keepdims)
                np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert space.sum(np.arange(4) > 1) == 2
    assert space.sum(np.ones(3, np.float32), dtype=np.float64).dtype == np.float64
    assert space.sum(np.zeros((0, 3)), axis=0).shape == (3,)


# --------------------------------------------------------------------------- equal bits


@float64_is_slow
@pytest.mark.parametrize("backend_id", others_slow(BACKENDS[1:], ["numba", "torch", "cupy", "torch:cuda"]))
@pytest.mark.parametrize("name", declarations(Kernels))
def test_every_kernel_has_the_bits_of_numpy(make_backend, backend_id, name, dtype):
    backend, numpy = open_backend(make_backend, backend_id, dtype), open_backend(make_backend, "numpy", dtype)
    for call in some_calls(name, 8):
        assert_same_kernel(backend, numpy, call)


def some_calls(name, count):
    """Return about ``count`` of a kernel's calls, for each activation that it supports."""
    found = {}
    for call in calls_of(name):
        found.setdefault(call.arguments[0] if isinstance(call.arguments[0], str) else "", []).append(call)
    return [call for every in found.values() for call in every[:: max(1, len(every) // count)]]


def assert_same_kernel(backend, numpy, call):
    found = [LayoutContender(each).kernel(call) for each in (backend, numpy)]
    for argument, expected in found[1].items():
        assert same_bits(canonical(found[0][argument]), canonical(expected)), f"{call.kernel}: {argument}"


@float64_is_slow
def test_compiled_products_fuse_nothing(dtype):
    numba = pytest.importorskip("numba")
    from backends.numba import reproducible

    def assembly_of(function, *arguments, **options):
        again = numba.jit(function.py_func, **{**function.targetoptions, **options})
        again(*arguments)  # compiled now: Numba does not show the code of a cached function
        (code,) = again.inspect_asm().values()
        return code

    a = np.ones((3, 3), dtype=dtype)
    assert not has_fused_instruction(assembly_of(reproducible._multiply, a, a, a))
    code = assembly_of(reproducible._multiply, a, a, a, fastmath={"contract"})
    if "ymm" in code or "zmm" in code:  # with AVX2 there are such instructions, and the search finds them
        assert has_fused_instruction(code)


def has_fused_instruction(code):
    return any(word in code for word in ("vfmadd", "vfnmadd", "vfmsub", "fmla", "fmadd"))


def test_no_kernel_divides_by_or_into_a_number(make_backend):
    """torch computes these by a reciprocal: always for number / array, on CUDA for array / number."""
    torch = pytest.importorskip("torch")
    from torch.overrides import TorchFunctionMode

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            name = getattr(function, "__name__", "")
            if "div" in name or "reciprocal" in name:
                numbers = [a for a in args if isinstance(a, (int, float))]
                if any(np.frexp(abs(float(n)))[0] != 0.5 for n in numbers):
                    raise AssertionError(f"{name} of {numbers}")
            return function(*args, **(kwargs or {}))

    backend = open_backend(make_backend, "torch")
    with Watch(), pytest.raises(AssertionError, match="of"):
        torch.ones(3) / 3.0
    with Watch():
        for name in declarations(Kernels):
            for call in some_calls(name, 4):
                LayoutContender(backend).kernel(call)


# --------------------------------------------------------------------------- the backend


def test_open_functions_are_refused():
    space = get_backend("numpy", precision="reproducible").xp
    with input_error(r"the bits of xp.pow depend on the library, expected .*; use"):
        space.pow  # noqa: B018
    with pytest.raises(AttributeError):
        space.no_such_function  # noqa: B018


def test_a_device_without_float64_is_refused():
    pytest.importorskip("array_api_strict")
    with input_error("which has no float64"):
        get_backend("strict", "no_float64", precision="reproducible")


def test_flushed_denormals_are_refused():
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot flush denormal numbers")
    try:
        with input_error("where denormal numbers are flushed to 0, expected arithmetic as in IEEE 754"):
            get_backend("numpy", precision="reproducible")
    finally:
        torch.set_flush_denormal(False)
    get_backend("numpy", precision="reproducible")


@pytest.mark.parametrize("name", ["abs", "astype", "maximum", "where"])
def test_each_function_that_flushes_is_noticed(name):
    def flush(*arguments, **options):
        result = getattr(npx, name)(*arguments, **options)
        return np.where(np.abs(result) < np.finfo(np.float32).tiny, 0.0, result).astype(result.dtype)

    namespace = SimpleNamespace(**{**vars(npx), name: flush})
    with input_error("flushed to 0"):
        make_reproducible(NumpyBackend("numpy", namespace, "cpu", "float32"))
