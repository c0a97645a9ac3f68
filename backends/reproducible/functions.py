"""exp, log, tanh, sqrt, cos and sin from +, -, * and /, which IEEE 754 rounds alike on every machine.

Each library has its own polynomials for these functions, and another one for each instruction set. Here all
numbers are float64, and a float32 argument is converted to float64 and the result rounded back. Errors of
float32 results are then below 0.51 units in the last place (ULP), of float64 results below 3 ULP.

Sources: Cody and Waite, "Software Manual for the Elementary Functions" (1980); fdlibm (Sun Microsystems 1993)
for the constants that split ln 2 and pi / 2.
"""

from collections.abc import Callable
from functools import partial, wraps
from math import factorial, inf, pi, sqrt
from typing import Any

from backends.reference.arithmetic import clip
from backends.reference.signatures import Array

LN2_HIGH = 6.93147180369123816490e-01  # the first 32 bits of ln 2: a product with an exponent is exact
LN2_LOW = 1.90821492927058770002e-10  # the rest
# pi / 2 in three parts of 33 bits, so that products with integers below 2^20 are exact.
HALF_PI_PARTS = (1.57079632673412561417, 6.07710050630396597660e-11, 2.02226624871116645580e-21)
EXP_TERMS = 13  # terms of the Taylor series from r^2 / 2 on; the next is below 2^-60 for |r| <= ln 2 / 2
MAX_EXPM1_ARGUMENT = 690.0  # up to it 2^k is finite in float64; below its negative e^x - 1 rounds to -1
MAX_EXP_ARGUMENT = 745.2  # above it e^x is inf; below its negative e^x is 0
LOG_TERMS = 12  # terms of the series of 2 atanh(s); the next is below 2^-60 for |s| <= 0.172
COSINE_TERMS = 10  # terms of both Taylor series; the next is below 2^-60 for |r| <= pi / 4
MAX_EXPONENT = 1024  # of a finite float64 number, plus 1
MIN_EXPONENT = -1075  # half of the smallest float64 number
VELTKAMP_FACTOR = 134217729.0  # 2^27 + 1: splits a float64 number into halves of 26 bits

Function = Callable[[Any, Array], Array]


def is_float(xp: Any, x: Array) -> bool:
    """Return whether x has a real floating-point dtype."""
    return bool(xp.isdtype(x.dtype, "real floating"))


def _require_float(xp: Any, x: Array) -> None:
    if not is_float(xp, x):
        raise TypeError(f"got an array of {x.dtype}, expected float32 or float64")


def _in_float64(function: Function) -> Function:
    """Decorator: convert the argument to float64 and the result back to the argument's dtype."""

    @wraps(function)
    def convert(xp: Any, x: Array, /) -> Array:
        _require_float(xp, x)
        result = function(xp, xp.astype(x, xp.float64, copy=False))
        return xp.astype(result, x.dtype, copy=False)

    return convert


def _polynomial(coefficients: list[float], x: Array) -> Array:
    """Return sum c_i x^i by Horner's rule."""
    *lower, highest = coefficients
    total = x * 0.0 + highest
    for c in reversed(lower):
        total = total * x + c
    return total


def _two_to(xp: Any, k: Array) -> Array:
    """Return 2^k for integers |k| < 1024: products of exact powers of two."""
    size = xp.abs(k)
    power = xp.ones(k.shape, dtype=xp.float64, device=k.device)
    for bit in range(10):
        power = xp.where((size & (1 << bit)) != 0, power * 2.0 ** (1 << bit), power)
    return xp.where(k < 0, 1.0 / power, power)


def _reduce_exponent(xp: Any, x: Array) -> tuple[Array, Array]:
    """Return (k, e^r - 1) with x = k ln 2 + r, |r| <= ln 2 / 2 and k int64; NaN gives k = 0."""
    x = clip(xp, x, (MIN_EXPONENT - 1) * LN2_HIGH, MAX_EXPONENT * LN2_HIGH + 1.0)
    n = xp.floor(x * (1.0 / (LN2_HIGH + LN2_LOW)) + 0.5)
    n = xp.where(xp.isnan(x), xp.zeros_like(n), n)
    r = (x - n * LN2_HIGH) - n * LN2_LOW
    series = _polynomial([1.0 / factorial(i + 2) for i in range(EXP_TERMS)], r)
    return clip(xp, xp.astype(n, xp.int64), MIN_EXPONENT, MAX_EXPONENT), r + r * r * series


@_in_float64
def exp(xp: Any, x: Array) -> Array:
    """Return e^x = 2^k e^r."""
    k, rest = _reduce_exponent(xp, x)
    # Beyond these limits the result is inf or 0; the products would overflow, or round up to 5e-324.
    inside = xp.abs(x) < MAX_EXP_ARGUMENT
    k = xp.where(inside, k, xp.zeros_like(k))
    half = k >> 1
    result = (1.0 + rest) * _two_to(xp, half) * _two_to(xp, k - half)  # only the last product may round
    outside = xp.where(x > 0, xp.full_like(x, inf), xp.where(x < 0, xp.zeros_like(x), x))
    return xp.where(inside, result, outside)


def _expm1(xp: Any, x: Array) -> Array:
    """Return e^x - 1 for |x| <= MAX_EXPM1_ARGUMENT, without cancellation: 2^k (e^r - 1) + (2^k - 1)."""
    k, rest = _reduce_exponent(xp, x)
    power = _two_to(xp, k)
    return power * rest + (power - 1.0)


@_in_float64
def expm1(xp: Any, x: Array) -> Array:
    """Return e^x - 1."""
    small = _expm1(xp, clip(xp, x, -MAX_EXPM1_ARGUMENT, MAX_EXPM1_ARGUMENT))
    result = xp.where(xp.abs(x) > MAX_EXPM1_ARGUMENT, exp(xp, x) - 1.0, small)
    return xp.where(x == 0, x, result)  # keeps the sign of 0


def _log(xp: Any, x: Array) -> Array:
    """Return log x: k ln 2 + log m with m from sqrt(1/2) to sqrt(2); -inf at 0, NaN below."""
    regular = (x > 0) & (x < inf)
    m = xp.where(regular, x, xp.ones_like(x))
    k = xp.zeros_like(m)
    for power in (512, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1):
        low = m < 2.0 ** (1 - power)
        high = m >= 2.0**power
        m = xp.where(low, m * 2.0**power, xp.where(high, m * 2.0**-power, m))
        k = xp.where(low, k - power, xp.where(high, k + power, k))
    high = m > sqrt(2.0)
    m = xp.where(high, 0.5 * m, m)
    k = xp.where(high, k + 1.0, k)
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    rest = z * _polynomial([2.0 / (2 * i + 3) for i in range(LOG_TERMS)], z)
    half = 0.5 * f * f
    result = k * LN2_HIGH - ((half - (s * (half + rest) + k * LN2_LOW)) - f)
    result = xp.where(x == 0, xp.full_like(x, -inf), result)
    return xp.where(regular | (x == 0), result, xp.where(x > 0, x, xp.nan * x))


log = _in_float64(_log)


@_in_float64
def log1p(xp: Any, x: Array) -> Array:
    """Return log(1 + x): log u + (x - (u - 1)) / u with u = 1 + x rounded."""
    u = 1.0 + x
    finite = (u > 0) & (u < inf)
    safe = xp.where(finite, u, xp.ones_like(u))
    rest = xp.where(finite, x - (safe - 1.0), xp.zeros_like(u)) / safe
    result = xp.where(finite, _log(xp, safe) + rest, _log(xp, u))
    return xp.where(x == 0, x, result)  # keeps the sign of 0


@_in_float64
def tanh(xp: Any, x: Array) -> Array:
    """Return tanh x = -t / (t + 2) with t = e^(-2 |x|) - 1, and the sign of x."""
    t = _expm1(xp, clip(xp, -2.0 * xp.abs(x), -MAX_EXPM1_ARGUMENT))
    size = -t / (t + 2.0)
    return xp.copysign(size, x)


def _turned_cos(xp: Any, x: Array, turns: float) -> Array:
    """Return cos(x + turns pi / 2), from x = n pi / 2 + r with |r| <= pi / 4."""
    n = xp.floor(x * (2.0 / pi) + 0.5)
    r = x
    for part in HALF_PI_PARTS:
        r = r - n * part
    square = r * r
    terms = range(COSINE_TERMS)
    cosine = _polynomial([(-1.0) ** i / factorial(2 * i) for i in terms], square)
    sine = r * _polynomial([(-1.0) ** i / factorial(2 * i + 1) for i in terms], square)
    n = n + turns
    quarter = n - 4.0 * xp.floor(0.25 * n)
    return xp.where(
        quarter == 0, cosine, xp.where(quarter == 1, -sine, xp.where(quarter == 2, -cosine, sine))
    )


# For |x| < 10^6.
cos = _in_float64(partial(_turned_cos, turns=0.0))
sin = _in_float64(partial(_turned_cos, turns=-1.0))


def _square_residual(x: Array, s: Array) -> Array:
    """Return x - s^2 without rounding, for s within a few ULP of sqrt(x) (Veltkamp 1968, Dekker 1971)."""
    c = VELTKAMP_FACTOR * s
    high = c - (c - s)
    low = s - high
    square = s * s
    error = ((high * high - square) + 2.0 * high * low) + low * low
    return (x - square) - error


def sqrt_of_float64(xp: Any, x: Array) -> Array:
    """Return the correctly rounded square root; the library's root may be off by a few ULP.

    Candidates are the improved root s and its neighbours. s is too small if x > (s + u / 2)^2, where u is the
    distance to the next number. Both x - s^2 and s u are exact multiples of u^2, so this is equivalent to
    x - s^2 > s u. Likewise s is too large if x - s^2 <= -s u, with the distance u to the previous number.
    """
    regular = (x > 0) & (x < inf)
    special = xp.where(x < 0, xp.nan * x, x)  # NaN for x < 0; 0, inf and NaN stay as they are
    x = xp.where(regular, x, xp.ones_like(x))
    one = xp.ones_like(x)
    # Scale x by a power of 4, so that s^2 and its parts are finite and normal.
    unscale = xp.where(x < 2.0**-500, one * 2.0**-300, xp.where(x > 2.0**900, one * 2.0**300, one))
    y = x / unscale / unscale
    s = xp.sqrt(y)
    s = s + _square_residual(y, s) / (2.0 * s)
    rest = _square_residual(y, s)
    step = s * (2.0**-53 * (1.0 + 2.0**-10))  # rounds s + step up, and s - step down, to the neighbour
    after = s + step
    before = s - step
    s = xp.where(rest > s * (after - s), after, xp.where(rest <= -s * (s - before), before, s))
    return xp.where(regular, s * unscale, special)


def square_root(xp: Any, x: Array, /) -> Array:
    """Return the square root, correctly rounded.

    torch's float32 square root on CPUs is not correctly rounded. So compute a float64 root, which may be off
    by 1 ULP, and round it to float32. This is correct, because the root of a 24-bit number is at least 2^-51
    (relative) away from the midpoint of two neighbouring 24-bit numbers.
    """
    _require_float(xp, x)
    if x.dtype == xp.float64:
        return sqrt_of_float64(xp, x)
    return xp.astype(xp.sqrt(xp.astype(x, xp.float64)), x.dtype)


FUNCTIONS: dict[str, Function] = {
    "exp": exp, "expm1": expm1, "log": log, "log1p": log1p, "tanh": tanh, "cos": cos, "sin": sin,
    "sqrt": square_root,
}  # fmt: skip
