"""Correct results by mpmath, Python's integers and C's math: they decide an alarm of the oracle."""

import cmath
import math
from collections.abc import Callable, Mapping
from typing import Any

import array_api_compat.numpy as numpy_xp
import numpy as np

from array_agreement.functions import Expression
from array_agreement.rounding import ELEMENTARY_FUNCTIONS, ROUNDED_ONCE, words
from array_agreement.targets import InputError

try:
    import mpmath  # type: ignore[import-untyped]
except ImportError:
    raise InputError("mpmath is not installed, expected it for a sweep; pip install mpmath") from None

PRECISION = 2400
"""In bits: enough for the phase of a power with an exponent of 2^1024."""
mp = mpmath.mp
TINY = mpmath.ldexp(1, -1500)
"""Stands for a zero part of a complex number, which decides the side of a branch cut."""


def _remainder(x: Any, y: Any) -> Any:
    return x - y * mp.floor(x / y) if isinstance(x, mp.mpf) else x % y


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "abs": abs, "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y, "reciprocal": lambda x: 1 / x, "square": lambda x: x * x,
    "negative": lambda x: -x, "pow": lambda x, y: x**y, "remainder": _remainder,
    "floor_divide": lambda x, y: mp.floor(x / y) if isinstance(x, mp.mpf) else x // y,
    "log2": lambda x: mp.log(x) / mp.log(2), "log1p": lambda x: mp.log(1 + x),
    "logaddexp": lambda x, y: mp.log(mp.exp(x) + mp.exp(y)),
}  # fmt: skip
"""Functions that mpmath names otherwise, or that integers have. The others are mpmath's."""
ROUNDED = (ROUNDED_ONCE | ELEMENTARY_FUNCTIONS | {"abs", "logaddexp"}) - {"astype"}
"""Elementwise functions that round. NumPy computes the others by their definitions."""


IN_C: dict[str, Callable[..., Any]] = {
    "expm1": lambda z: cmath.exp(z) - 1,
    "log1p": lambda z: cmath.log(1 + z),
    "log2": lambda z: cmath.log(z) / math.log(2),
}
"""Complex functions that C lacks, at infinities."""


def _number(x: Any) -> Any:
    """Return a NumPy number as Python's integer, or as mpmath's number."""
    if not isinstance(x, np.inexact):
        return x.item() if isinstance(x, np.generic) else x
    return mp.mpc(complex(x)) if isinstance(x, np.complexfloating) else mp.mpf(float(x))


def _element(name: str, *args: Any) -> Any:
    """Return one element of an elementwise function of NumPy's numbers; None if undecided."""
    inexact = [x for x in args if isinstance(x, np.inexact)]
    is_complex = any(isinstance(x, np.complexfloating) for x in args)
    parts = [part for x in inexact for part in ((x.real, x.imag) if is_complex else (x,))]
    by_definition = getattr(numpy_xp, name)
    if not (name in ROUNDED if inexact else name in ELEMENTWISE):
        return by_definition(*args)[()]
    if inexact and not (all(map(np.isfinite, parts)) and (any(parts) if is_complex else all(parts))):
        wide = [x.item() if isinstance(x, np.generic) else x for x in args]
        in_c = getattr(cmath, name, IN_C.get(name)) if is_complex else getattr(math, name, None)
        try:
            return in_c(*wide) if in_c and name != "remainder" else by_definition(*map(np.asarray, wide))[()]
        except ValueError:  # no value, or at a finite number a pole
            return by_definition(*map(np.asarray, wide))[()] if all(map(np.isfinite, parts)) else math.nan
    if is_complex and len(args) > 1 and not all(args):
        raise ValueError("a product or power of a complex 0, which is undecided")
    convert = _beside_branch_cut if is_complex else _number
    numbers = [convert(x) if isinstance(x, np.inexact) else _number(x) for x in args]
    result = (ELEMENTWISE[name] if name in ELEMENTWISE else getattr(mp, name))(*numbers)
    return mp.nan if isinstance(result, mp.mpc) and not is_complex else result


def _beside_branch_cut(x: Any) -> Any:
    """Return a complex number of mpmath. It has no sign of zero: TINY stands for zero."""
    real, imag = (float(part) or math.copysign(1, part) * TINY for part in (x.real, x.imag))
    return mp.mpc(real, imag)


def _matrix(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of object arrays from one of mpmath's matrices."""

    def call(*arrays: Any, **kwargs: Any) -> Any:
        matrices = (mp.matrix(x.tolist()) if isinstance(x, np.ndarray) else x for x in arrays)
        found = function(*matrices, **kwargs)
        return np.asarray(found.tolist() if isinstance(found, mp.matrix) else found, object)

    return call


def _fourier(x: Any, sign: int) -> Any:
    n = x.shape[-1]
    roots = [mp.expjpi(mp.mpf(2 * sign * k) / n) for k in range(n)]
    return x @ np.asarray([[roots[j * k % n] for k in range(n)] for j in range(n)], object)


def _norm(x: Any, axis: Any = None, ord: float = 2) -> Any:
    return np.sum(np.abs(x) ** ord, axis=axis) ** (mp.mpf(1) / ord)


def _var(x: Any, axis: Any, correction: float = 0) -> Any:
    gaps = x - np.mean(x, axis=axis, keepdims=True)
    return np.sum(gaps * gaps, axis=axis) / (x.shape[axis] - correction)


def _svdvals(a: Any) -> Any:
    return list(mp.svd_c(mp.matrix(a.tolist()), compute_uv=False))


def _matrix_norm(a: Any, ord: Any = "fro") -> Any:
    if ord in (1, math.inf):
        return np.max(np.sum(np.abs(a), axis=0 if ord == 1 else 1))
    values = _svdvals(a)
    return values[0] if ord == 2 else sum(values) if ord == "nuc" else mp.norm(values)


ARRAYS: dict[str, Callable[..., Any]] = {
    **{name: getattr(numpy_xp, name) for name in
       words("sum prod mean cumulative_sum cumulative_prod matmul tensordot diff")},
    "vecdot": lambda x, y: np.sum(np.conjugate(x) * y, axis=-1),
    "var": _var, "std": lambda x, axis: _map(mp.sqrt, _var(x, axis)),
    "linalg.trace": np.trace, "linalg.vector_norm": _norm, "linalg.outer": np.outer, "linalg.cross": np.cross,
    "linalg.det": _matrix(mp.det), "linalg.inv": _matrix(mp.inverse), "linalg.cholesky": _matrix(mp.cholesky),
    "linalg.solve": lambda a, b: _matrix(mp.inverse)(a) @ b,
    "linalg.eigvals": _matrix(lambda a: mp.eig(a, left=False, right=False)),
    "linalg.eigvalsh": _matrix(lambda a: sorted(mp.eighe(a, eigvals_only=True))),
    "linalg.svdvals": _svdvals, "linalg.matrix_norm": _matrix_norm,
    "linalg.matrix_power": _matrix(lambda a, n: a**n),
    "fft.fft": lambda x: _fourier(x, -1), "fft.ifft": lambda x: _fourier(x, 1) / x.shape[-1],
    "fft.rfft": lambda x: _fourier(x, -1)[..., : x.shape[-1] // 2 + 1],
}  # fmt: skip
"""Functions of arrays of Python's or mpmath's numbers, of any shape that the sweep uses."""


def _map(function: Callable[..., Any], *arrays: Any) -> Any:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


class Exact:
    """The namespace that computes one call in exact numbers, or with more digits than any dtype has."""

    def __init__(self, path: str = ""):
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name in ("linalg", "fft") and not self._path:
            return Exact(f"{name}.")
        if isinstance(getattr(np, name, None), type):
            return getattr(np, name)
        if name == "astype":
            return lambda x, dtype: x if issubclass(dtype, np.inexact) else _map(dtype, x)
        full = self._path + name
        if full in ARRAYS:
            return lambda *args, **kwargs: ARRAYS[full](*(_numbers(x) for x in args), **kwargs)
        return lambda *args: _map(lambda *numbers: _element(full, *numbers), *args)


def _numbers(x: Any) -> Any:
    return _map(_number, x) if isinstance(x, np.ndarray) else x


def _objects(x: np.ndarray) -> np.ndarray:
    """Return an array of NumPy's numbers, which keep their dtype and the signs of zeros."""
    result = np.empty(x.shape, object)
    for i in np.ndindex(x.shape):
        result[i] = x[i]
    return result


@np.errstate(all="ignore")
def correct(expression: Expression, arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the correct result as an array of Python's or mpmath's numbers; None if undecided."""
    elementwise = expression.group == "elementwise"
    if expression.name in ("linalg.qr", "linalg.svd", "linalg.eigh"):  # the matrix from its factors
        (matrix,) = arrays.values()
        return _numbers(_objects(matrix))
    if not elementwise and expression.name not in ARRAYS:
        return None
    try:
        with mp.workprec(PRECISION if elementwise else 500):
            result = expression.f(Exact(), *map(_objects, arrays.values()))
    except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError, mp.NoConvergence):
        return None
    return _map(_number, np.asarray(result, object))


def error_in_ulps(value: Any, exact: Any, allowed: float = 0.0, any_infinity: bool = False) -> float:
    """Return the error of a number in units in the last place of the correct one; 0 if it is allowed.

    The standard leaves to the library the overflow of integers, and whether a result below the smallest
    normal number is flushed to 0.

    Args:
        value: NumPy's number
        exact: Python's or mpmath's number
        allowed: an absolute error that is none
        any_infinity: if the correct number is too large for the dtype, every infinity and NaN is allowed
    """
    if not isinstance(value, np.inexact):
        if value.dtype.kind in "iu" and not np.iinfo(value.dtype).min <= exact <= np.iinfo(value.dtype).max:
            return 0.0
        return float(abs(int(value) - int(exact)))
    info: Any = np.finfo(value.dtype)
    number, right = mp.mpc(complex(value)), mp.mpc(exact)
    largest = float(info.max) * (1 - 8 * float(info.eps))
    if any_infinity and mp.isfinite(right) and abs(right) > largest and not mp.isfinite(number):
        return 0.0
    if mp.isnan(number) or mp.isnan(right):
        return 0.0 if mp.isnan(number) and mp.isnan(right) else math.inf
    gaps = []
    for x, y in ((number.real, right.real), (number.imag, right.imag)):
        overflow = max(abs(x), abs(y)) > largest and min(abs(x), abs(y)) > largest and x * y > 0
        gaps.append(mp.mpf(0) if x == y or overflow else x - y)
    error = mp.hypot(*gaps)
    size = min(abs(right), mp.mpf(float(info.max)))
    if error <= allowed or (number == 0 and size < info.smallest_normal):
        return 0.0
    exponent = int(mp.floor(mp.log(size, 2))) if size else info.minexp
    return float(error / mp.ldexp(1, max(exponent, info.minexp) - info.nmant))


def describe_result(x: Any) -> str:
    """Return a result as text, with 17 digits."""
    if not isinstance(x, np.ndarray | np.generic) or x.dtype.kind in "bU":
        return str(x)
    digits = 17 if np.asarray(x).dtype.char in "OdD" else 9
    items = [mpmath.nstr(mpmath.mpmathify(v), digits) for v in np.ravel(x).tolist()]
    return items[0] if np.ndim(x) == 0 else f"[{', '.join(items[:20])}{', ...' * (len(items) > 20)}]"
