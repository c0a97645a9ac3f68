"""The model of rounding: the largest error of each array API call, and runs perturbed by such errors.

A result that declares float32 or float64 becomes r + e xi. r is the call's result in the wider dtype that it
is stored in, and xi is uniform in [-1, 1]. e is the largest rounding error in the declared dtype;
docs/bounds.md lists it for each call, with u = 2^-24 or 2^-53. Results beyond the largest number of the dtype
become infinite. Results below its smallest normal number may be flushed to zero.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from array_agreement.calls import WIDER_DTYPES, Array, Call, map_parts, unwrap, unwrap_narrow
from array_agreement.targets import caller_location, words
from array_agreement.values import complex_if, leaves, tree_map

MIN_NORMAL = 2.0**-126
"""Smallest normal float32."""


class Limits(NamedTuple):
    """Unit roundoff, smallest normal and largest number of a dtype."""

    u: float
    min_normal: float
    max: float


FLOAT32 = Limits(2.0**-24, MIN_NORMAL, float(np.finfo(np.float32).max))
FLOAT64 = Limits(2.0**-53, 2.0**-1022, float(np.finfo(np.float64).max))


def limits(dtype: Any) -> Limits:
    """Return the limits of float32 for single precision, of float64 for every other dtype."""
    return FLOAT32 if np.dtype(dtype).char in "fF" else FLOAT64


ROUNDED_ONCE = set(
    words("add subtract multiply divide floor_divide sqrt square reciprocal remainder astype linalg.outer")
)
"""Calls with a correctly rounded result, if it is real."""
GRIDS = ("linspace", "arange")
"""Calls that compute start + i step, or from both ends."""
ELEMENTARY_FUNCTIONS = set(
    words("""
exp expm1 log log1p log2 log10 pow hypot
sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh special.xlogy special.xlog1py
""")
)
FACTORS = dict.fromkeys(ROUNDED_ONCE, 1.0) | dict.fromkeys(ELEMENTARY_FUNCTIONS, 3.0)
"""e / (u abs(r)) of a call with the result r."""
UNKNOWN_FACTOR = 4.0
BRANCH_POINTS = {
    **dict.fromkeys(words("acos asin acosh atanh log1p"), 1.0),
    **dict.fromkeys(words("atan asinh"), 1j),
}
"""Branch points of complex functions, besides their negatives and 0. The distance from one is exact."""
COMPLEX_PRODUCTS = words("multiply divide square reciprocal pow")
SUMS = set(words("sum mean prod var std cumulative_sum cumulative_prod linalg.trace linalg.vector_norm"))
DOTS = set(words("matmul tensordot vecdot linalg.matmul linalg.tensordot linalg.vecdot"))
SUMS_AND_DOTS = SUMS | DOTS
EXACT_CALLS = set(
    words("""
positive negative abs sign signbit floor ceil trunc round max maximum min minimum clip
copysign nextafter real imag conj where take take_along_axis concat stack reshape expand_dims squeeze triu
tril broadcast_to broadcast_arrays permute_dims matrix_transpose moveaxis flip roll repeat tile sort
unique_values unique_counts unique_inverse unique_all zeros zeros_like ones ones_like full full_like empty
empty_like eye meshgrid unstack linalg.diagonal linalg.matrix_transpose fft.fftshift fft.ifftshift
""")
)
LINALG = "linalg."
"""First letters of calls with backward stable algorithms."""
EXTENDED_CALLS = FACTORS.keys() | SUMS_AND_DOTS | EXACT_CALLS
"""Calls that NumPy computes in a wider dtype; their errors there were compared with mpmath's results."""


def magnitude(x: Any) -> Any:
    """Return the absolute values of an array; those of complex numbers without infinite parts."""
    if x.dtype.kind == "c":
        return np.abs(map_parts(lambda part: np.where(np.isfinite(part), part, 0), x))
    return np.abs(x, dtype=np.float64)  # NumPy casts long double before it computes, which is faster


def largest(x: Any) -> float:
    """Return the largest finite absolute value, or 0."""
    size = magnitude(x)
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def is_exact(r: Any, dtype: Any) -> Any:
    """Return whether each number is one of a narrower dtype."""
    return r == r.astype(dtype).astype(r.dtype)


def perturb(r: Any, e: Any, limit: Limits, rng: np.random.Generator | None, alike: bool = False) -> Any:
    """Return r + e xi with the overflow and underflow of a dtype; without ``rng``, r with overflow only.

    ``alike``: xi is the same for all elements. The result is not rounded to the dtype: on that grid a few
    runs could agree by chance.
    """
    if r.dtype.kind == "c":
        return map_parts(lambda part: perturb(part, e, limit, rng, alike), r)
    out = r if rng is None else r + e * rng.uniform(-1, 1, () if alike else r.shape)
    size = magnitude(out)
    if not size.max(initial=0.0) <= limit.max:
        out = np.where(np.isfinite(out), out, r)
        size = magnitude(out)  # long double beyond the largest float64 becomes infinite
        out = np.where(size > limit.max * (1 + limit.u / 2), np.copysign(np.inf, out), out)
    if rng is None or size.min(initial=1.0) >= limit.min_normal:
        return out
    is_flushed = (size == 0) | (rng.random(r.shape) < 0.5)  # a zero keeps its sign
    return np.where((size < limit.min_normal) & is_flushed, 0.0 * r, out)


def _restore_poles(perturbed: Any, exact: Any) -> Any:
    """Return the perturbed result, with the infinities and NaN of the exact one: a pole is exact."""
    if np.shape(perturbed) != np.shape(exact) or np.asarray(exact).dtype.kind not in "fc":
        return perturbed
    return map_parts(lambda part, pole: np.where(np.isfinite(pole), part, pole), perturbed, exact)


def is_integral(x: Any) -> bool:
    """Return whether all elements of an array are integers."""
    x = np.asarray(x)
    # Test the first number alone first: usually it is not an integer, and the others need no test.
    if x.dtype.kind == "f" and x.size and math.modf(x.item(0))[0]:
        return False
    return x.dtype.kind != "O" and bool(np.all(x == np.rint(x)))


def _round_constant(x: Any, rng: np.random.Generator | None) -> Any:
    """Round a Python number to float32; perturb it if inexact, as libraries differ in when they round."""
    if type(x) is not float:
        return x
    narrow = float(np.float32(x))
    return narrow if rng is None or narrow == x else narrow + FLOAT32.u * abs(x) * rng.uniform(-1, 1)


def draw_unspecified(call: Call, result: Any, rng: np.random.Generator, places: set[str]) -> Any:
    """Return the result with random numbers where the standard leaves it to the library.

    That is a cast of a number that an integer dtype lacks, an integer division by 0, a shift by more bits
    than there are, a product or power of complex infinities, and the content of ``empty``. The call and its
    line are added to ``places``.
    """
    name, values = call.name, list(map(unwrap, call.args))
    dtype = getattr(result, "dtype", np.dtype(bool))
    unspecified: Any = name in ("empty", "empty_like")
    if name in COMPLEX_PRODUCTS and dtype.kind == "c":
        unspecified = ~np.all(np.isfinite(np.broadcast_arrays(*values)), axis=0)
    elif name == "astype" and dtype.kind in "iu":
        unspecified = result != np.trunc(np.real(values[0]))
    elif name in ("floor_divide", "remainder") and dtype.kind in "iu":
        unspecified = values[1] == 0
    elif name.endswith("_shift"):
        unspecified = values[1] // (8 * dtype.itemsize) != 0
    if not np.any(unspecified):
        return result
    places.add(f"{name} at {caller_location()}")
    drawn = rng.choice([1.0, np.nan] if dtype.kind in "fc" else np.arange(100), np.shape(result))
    return np.where(unspecified, drawn, result).astype(dtype)


def n_terms(call: Call, r: Any) -> int:
    """Return the number of terms in each element of a sum or dot product with result ``r``."""
    x = call.arrays[0]
    along = "tensordot" in call.name or call.name.startswith("cumulative")
    k = max(x.shape, default=1) if along else x.size // max(np.size(r), 1)
    return x.shape[-1] if call.name.endswith(("matmul", "vecdot")) else k


class Rounding:
    """A hook for a wide namespace: adds random rounding errors drawn from ``rng``, or none if it is None.

    Calls in ``perturbed_results`` get an error of their result only. All others, for example linear algebra
    and complex elementary functions, also get errors of their arguments, as in the analysis of backward
    stable algorithms.
    """

    perturbed_results = FACTORS.keys() | SUMS_AND_DOTS

    def __init__(self, rng: np.random.Generator | None = None):
        self.rng = rng
        self.unspecified = set[str]()

    def __call__(self, call: Call) -> Any:
        name, rng = call.name, self.rng
        is_complex = any(x.dtype.kind == "c" for x in call.arrays)
        dtypes = leaves(call.dtypes)
        floats = WIDER_DTYPES.keys() & {*dtypes, *(x.dtype for x in call.arrays)}
        exact = name in EXACT_CALLS and not (is_complex and name in ("abs", "sign"))
        exact |= WIDER_DTYPES.keys().isdisjoint(dtypes)
        if floats and name not in GRIDS and all(limits(d) is FLOAT32 for d in floats):
            round_constant = partial(_round_constant, rng=None if exact else rng)
            call.args, call.kwargs = tree_map(round_constant, (call.args, call.kwargs))
        if exact or self._maps_integers(call):
            result = call.compute(unwrap_narrow if name == "nextafter" else unwrap)
            return result if rng is None else draw_unspecified(call, result, rng, self.unspecified)
        is_ill = is_complex and name in ELEMENTARY_FUNCTIONS  # near poles and zeros
        on_result = rng is None or name.startswith("fft.") or (name in self.perturbed_results and not is_ill)
        results = call.compute(unwrap if on_result else partial(self._perturb_argument, name))
        if not (on_result or is_ill or name.startswith(LINALG)):
            poles = iter(leaves(call.compute()))
            results = tree_map(lambda r: _restore_poles(r, next(poles)), results)
        if rng is not None and name in COMPLEX_PRODUCTS:
            results = draw_unspecified(call, results, rng, self.unspecified)
        if not isinstance(call.dtypes, tuple | list):
            return self._perturb_result(call, results, call.dtypes)
        pairs = zip(results, call.dtypes, strict=True)
        return [self._perturb_result(call, r, d) if d in WIDER_DTYPES else r for r, d in pairs]

    def _maps_integers(self, call: Call) -> bool:
        """Return whether a call like ``diff``, which the model does not know, maps integers to integers."""
        if call.name in EXTENDED_CALLS or call.name.startswith((LINALG, "fft.", "special.", "from_")):
            return False
        exact = all(map(is_integral, [*(x.value for x in call.arrays), call.compute()]))
        return bool(self.first_value(np.asarray(exact)))

    def _perturb_result(self, call: Call, r: Any, dtype: Any) -> Any:
        r = np.asarray(r)
        dtype = complex_if(r, dtype)
        size = 0.0 if self.rng is None else self.first_value(self._error(call, r, dtype))
        # A constant that is added to numbers of one binade may err alike in all of them.
        is_constant = call.name in ("add", "subtract") and min(map(np.size, call.leaves)) < r.size
        alike = is_constant and self.rng is not None and self.rng.random() < 0.5
        return perturb(r, limits(dtype).u * size, limits(dtype), self.rng, alike)

    def _error(self, call: Call, r: Any, dtype: Any) -> Any:
        """Return e / u of a call's result ``r``."""
        name = call.name
        if name in ("linalg.eig", "linalg.eigvals"):
            return 0.0  # their arguments were perturbed; conjugate pairs are exact
        if name == "linspace":
            return 3 * (largest(r) + largest(r[..., :1]))
        if name == "arange":  # libraries round the step, which NumPy derives from two elements
            exact = np.all(is_exact(r, dtype)) and (r.dtype != dtype or is_integral(r))
            return 0.0 if exact else largest(r) * r.size
        if call.arrays and name.startswith("fft."):
            return math.sqrt(1.25 * (1 + math.log2(max(r.size, 1)))) * largest(r)
        if call.arrays and name in SUMS_AND_DOTS:
            return self.sum_error(call, r)
        factor = FACTORS.get(name, UNKNOWN_FACTOR)
        if r.dtype.kind == "c" and name not in ("add", "subtract", "astype"):
            factor = max(factor, 3.0)
        if name == "divide" and any(x.space.is_jax for x in call.arrays):
            factor = 2.0  # XLA may multiply by the rounded 1 / y, so no quotient is exact
        size = factor * magnitude(r)
        is_power = name == "pow" and type(call.args[-1]) is int  # a product
        if r.dtype != dtype and factor == 1.0:  # the wider dtype shows exact results
            return np.where(is_exact(r, dtype), 0.0, size)
        if (factor == 1.0 or is_power) and all(is_integral(x.value) for x in call.arrays):
            return np.where((r == np.rint(r)) & (size < 1 / limits(dtype).u), 0.0, size)
        if factor == UNKNOWN_FACTOR and r.dtype == dtype:
            return 4 * size  # the oracle rounds too, and special functions often err by ten roundings
        if name in ("exp", "cos", "cosh", "pow"):
            return np.where(r == 1, 0.0, size)  # the standard lists the arguments with this result
        return size

    def first_value(self, value: Any) -> Any:
        """Return ``value``. ``Backward`` overrides this method to reuse the values of its first run."""
        return value

    def _perturb_argument(self, name: str, a: Any) -> Any:
        """Return the stored value of argument ``a`` of call ``name``, with an error."""
        if not isinstance(a, Array) or a.dtype not in WIDER_DTYPES or not a.size:
            return unwrap(a)
        rng: Any = self.rng
        unit = 3 * limits(a.dtype).u * rng.uniform(-1, 1, a.shape)
        if name == "from_numpy":
            return a.value + unit * largest(a.value)
        if name.startswith(LINALG):
            return a.value + unit * np.sqrt(max(a.shape, default=1)) * largest(a.value)
        if name in BRANCH_POINTS and a.dtype.kind == "c":
            point = BRANCH_POINTS[name]
            gap = np.minimum(np.abs(a.value - point), np.abs(a.value + point))
            unit = unit * np.fmin(1, gap / np.abs(a.value))
        # Relative: the imaginary part 0 of a branch cut stays 0, and infinities stay as they are.
        return map_parts(lambda part: np.where(np.isfinite(part), part + part * unit, part), a.value)

    def sum_error(self, call: Call, r: Any) -> Any:
        """Return e / u of a sum or dot product; 0 for integers that the dtype adds exactly."""
        arrays = call.arrays
        u = limits(call.dtypes).u
        k = n_terms(call, r)
        if call.name in ("var", "std"):
            # An error of the mean changes a two-pass variance by its square, but Welford's update linearly.
            mean = np.reshape(np.mean(np.abs(arrays[0].value), axis=call.kwargs.get("axis")), np.shape(r))
            is_root = call.name == "std"
            size = r**2 if is_root else r
            size = size * np.sqrt((k + 2) / 3) + mean * np.sqrt(size) + k * u * mean**2
            return size / np.maximum(r, MIN_NORMAL) if is_root else size
        total = call.run(lambda a: magnitude(a.value) if isinstance(a, Array) else a)
        integers = all(is_integral(x.value) for x in arrays)
        size = total * np.sqrt((k + 2) / 3)
        exact = integers and call.name not in ("mean", "linalg.vector_norm")
        return np.where(total < 1 / u, 0.0, size) if exact else size
