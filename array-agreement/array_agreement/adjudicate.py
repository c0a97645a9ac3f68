"""Correct results by mpmath, Python's integers and C's math: they decide an alarm of the oracle."""

import cmath
import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import array_api_compat.numpy as numpy_xp
import numpy as np

from array_agreement.bounds import distance
from array_agreement.calls import map_parts
from array_agreement.functions import Expression
from array_agreement.rounding import ELEMENTARY_FUNCTIONS, ROUNDED_ONCE
from array_agreement.targets import Function, InputError, words

try:
    import mpmath  # type: ignore[import-untyped]
except ImportError:
    raise InputError("mpmath is not installed, expected it for a sweep; pip install mpmath") from None

PRECISION = 2400
"""In bits: enough for the phase of a power with an exponent of 2^1024."""
mp = mpmath.mp
TINY = mpmath.ldexp(1, -1500)
"""Stands for a zero part of a complex number, which decides the side of a branch cut."""
ROUNDED = (ROUNDED_ONCE | ELEMENTARY_FUNCTIONS | {"abs", "logaddexp"}) - {"astype"}
"""Elementwise functions that round. NumPy computes the others by their definitions."""
OPERATORS = set(
    words("abs add subtract multiply divide reciprocal square negative pow remainder floor_divide")
)
"""Functions that NumPy computes by the operators of Python's and mpmath's numbers."""
DEFINITIONS: dict[str, Function] = {
    "log2": lambda m, x: m.log(x) / m.log(2),
    "log1p": lambda m, x: m.log(1 + x),
    "expm1": lambda m, x: m.exp(x) - 1,
    "logaddexp": lambda m, x, y: m.log(m.exp(x) + m.exp(y)),
}
"""Functions by those of the module mpmath, math or cmath, which has the others by name."""


def _number(x: Any) -> Any:
    """Return a NumPy number as Python's integer, or as mpmath's number.

    A complex one has no sign of zero there: TINY stands for zero.
    """
    if isinstance(x, np.complexfloating):
        return mp.mpc(*(float(part) or math.copysign(1, part) * TINY for part in (x.real, x.imag)))
    return mp.mpf(float(x)) if isinstance(x, np.floating) else x.item() if isinstance(x, np.generic) else x


def _element(name: str, *args: Any) -> Any:
    """Return one element of an elementwise function of NumPy's numbers."""
    inexact = np.asarray([x for x in args if isinstance(x, np.inexact)])
    is_complex = inexact.dtype.kind == "c"
    by_definition = getattr(numpy_xp, name)
    if not (name in ROUNDED if inexact.size else name in OPERATORS):
        return by_definition(*args)[()]
    define = DEFINITIONS.get(name) or (lambda m, *numbers: getattr(m, name)(*numbers))
    if np.all(np.isfinite(inexact)) and (np.any(inexact) if is_complex else np.all(inexact)):
        if is_complex and len(args) > 1 and not all(args):
            raise ValueError("a product or power of a complex 0, which is undecided")
        numbers = [np.asarray(_number(x), object) for x in args]
        if inexact.size and name == "floor_divide":
            result = mp.floor(numbers[0] / numbers[1])
        elif name in OPERATORS:
            result = by_definition(*numbers)
        else:
            result = define(mp, *(x[()] for x in numbers))
        return mp.nan if isinstance(result, mp.mpc) and not is_complex else result
    wide = [x.astype(complex if is_complex else float) if isinstance(x, np.inexact) else x for x in args]
    try:
        return by_definition(*wide)[()] if name in OPERATORS else define(cmath if is_complex else math, *wide)
    except (AttributeError, OverflowError, ValueError):  # C lacks the function, or it has a pole there
        return by_definition(*wide)[()]


def _map(function: Function, *arrays: Any) -> Any:
    return np.asarray(np.frompyfunc(function, len(arrays), 1)(*arrays), object)


def _matrix(function: Function) -> Function:
    """Return a function of object arrays from one of mpmath's matrices."""

    def call(*arrays: Any, **kwargs: Any) -> Any:
        found = function(*(mp.matrix(x.tolist()) if np.ndim(x) else x for x in arrays), **kwargs)
        return np.asarray(getattr(found, "tolist", lambda: found)(), object)

    return call


def _fourier(x: Any, sign: int) -> Any:
    n = x.shape[-1]
    root = lambda k: mp.expjpi(mp.mpf(2 * sign * k) / n)  # noqa: E731
    return x @ _map(root, np.outer(range(n), range(n)) % n)


def _matrix_norm(a: Any, ord: Any = "fro") -> Any:
    if ord not in (2, "nuc"):
        return mp.mnorm(a, ord)
    values = mp.svd_c(a, compute_uv=False)
    return values[0] if ord == 2 else sum(values)


BY_NUMPY = words(
    "sum prod mean var std cumulative_sum cumulative_prod matmul tensordot vecdot diff linalg.trace "
    "linalg.outer linalg.cross"
)
ARRAYS: dict[str, Function] = {
    **{name: getattr(numpy_xp, name.removeprefix("linalg.")) for name in BY_NUMPY},
    "linalg.vector_norm": lambda x, axis=None, ord=2: np.sum(abs(x) ** ord, axis=axis) ** (mp.mpf(1) / ord),
    "linalg.det": _matrix(mp.det), "linalg.inv": _matrix(mp.inverse), "linalg.cholesky": _matrix(mp.cholesky),
    "linalg.solve": lambda a, b: _matrix(mp.inverse)(a) @ b,
    "linalg.eigvals": _matrix(lambda a: mp.eig(a, left=False, right=False)),
    "linalg.eigvalsh": _matrix(lambda a: sorted(mp.eighe(a, eigvals_only=True))),
    "linalg.svdvals": _matrix(lambda a: list(mp.svd_c(a, compute_uv=False))),
    "linalg.matrix_norm": _matrix(_matrix_norm), "linalg.matrix_power": _matrix(lambda a, n: a**n),
    "fft.fft": lambda x: _fourier(x, -1), "fft.ifft": lambda x: _fourier(x, 1) / x.shape[-1],
    "fft.rfft": lambda x: _fourier(x, -1)[..., : x.shape[-1] // 2 + 1],
}  # fmt: skip
"""Functions of arrays of Python's or mpmath's numbers, of any shape that the sweep uses."""
IN_FACTORS = words("linalg.qr linalg.svd linalg.eigh")
"""Their expressions multiply the factors, so the correct result is the matrix itself."""


class Exact:
    """The namespace that computes one call in exact numbers, or with more digits than any dtype has."""

    def __init__(self, path: str = ""):
        self._path = path

    def __getattr__(self, name: str) -> Any:
        full = self._path + name
        if full in ("linalg", "fft"):
            return Exact(f"{name}.")
        if isinstance(getattr(np, name, None), type):
            return getattr(np, name)
        if name == "astype":
            return lambda x, dtype: x if issubclass(dtype, np.inexact) else _map(dtype, x)
        if full in ARRAYS:
            return lambda *args, **kwargs: ARRAYS[full](
                *(_map(_number, x) if np.ndim(x) else x for x in args), **kwargs
            )
        return lambda *args: _map(partial(_element, full), *args)


def _widen(x: Any) -> Any:
    """Return mpmath's real number as long double; a finite one stays finite."""
    if not mp.isfinite(x):
        return np.longdouble(float(x))
    mantissa, exponent = mp.frexp(x)
    high = float(mantissa)
    low = float(mantissa - high)
    return np.nan_to_num(np.ldexp(np.longdouble(high) + low, int(min(max(exponent, -(10**6)), 10**6))))


@np.errstate(all="ignore")
def correct(expression: Expression, arrays: Mapping[str, np.ndarray], kind: str) -> Any:
    """Return the correct result; None if undecided.

    Args:
        expression, arrays: the call
        kind: of the result's dtype. Inexact results become long double, others Python's integers.
    """
    if not (expression.is_elementwise or expression.name in [*ARRAYS, *IN_FACTORS]):
        return None
    objects = [np.asarray([*x.ravel()], object).reshape(x.shape) for x in arrays.values()]  # keep their dtype
    try:
        with mp.workprec(PRECISION if expression.is_elementwise else 500):
            result = objects[0] if expression.name in IN_FACTORS else expression.f(Exact(), *objects)
            numbers = _map(_number, result)
            if kind not in "fc":
                return numbers
            exact = np.empty(numbers.shape, np.clongdouble)
            exact.real = _map(lambda x: _widen(mp.re(x)), numbers)
            exact.imag = _map(lambda x: _widen(mp.im(x)), numbers)
            return exact if kind == "c" else exact.real
    except (ArithmeticError, AttributeError, NotImplementedError, TypeError, ValueError, mp.NoConvergence):
        return None


def errors_in_ulps(value: Any, exact: Any, allowed: Any = 0.0, any_infinity: bool = False) -> Any:
    """Return the error of each number in units in the last place of the correct one; 0 if it is allowed.

    That of a wrong integer or boolean is infinite.
    The standard leaves to the library the overflow of integers, and whether a result below the smallest
    normal number is flushed to 0.

    Args:
        value: the library's result
        exact: the correct one
        allowed: an absolute error that is none
        any_infinity: if the correct number is too large for the dtype, every infinity and NaN is allowed
    """
    if value.dtype.kind not in "fc":
        limits: Any = np.iinfo(value.dtype if value.dtype.kind in "iu" else np.uint8)
        is_wrong = lambda v, e: v != e and limits.min <= e <= limits.max  # noqa: E731
        return np.where(_map(is_wrong, value, exact).astype(bool), np.inf, 0.0)
    info: Any = np.finfo(value.dtype)
    largest = float(info.max) * (1 - 8 * float(info.eps))
    clipped = (map_parts(lambda part: np.clip(part, -largest, largest), x) for x in (value, exact))
    error = distance(*clipped)
    size = np.minimum(np.abs(exact), largest)
    is_right = (error <= allowed) | ((value == 0) & (size < info.smallest_normal))
    if any_infinity:
        is_right |= np.isfinite(exact) & (size == largest) & ~np.isfinite(value)
    ulps = error / np.spacing(size.astype(info.dtype))
    return np.where(is_right, 0.0, np.where(np.isnan(ulps), np.inf, ulps))


def describe_result(x: Any) -> str:
    """Return a result as text."""
    if not isinstance(x, np.ndarray | np.generic):
        return str(x)
    return str(x.astype({"g": float, "G": complex}.get(x.dtype.char, x.dtype)).tolist())
