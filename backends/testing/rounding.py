"""The model: what each call of the array API may lose in float32, and how a run is disturbed by it.

A float32 result becomes r + e xi: r is the call's result in float64, xi uniform in [-1, 1], and e the most
that float32 may lose, as the table in docs/agreement-for-your-code.md has it; u = 2^-24. Beyond float32's
largest number r is infinite; below its smallest normal one it may be flushed to zero.
"""

from typing import Any

import numpy as np

from backends.testing.watched import WIDER_DTYPES, Array, Call, leaves, unwrap

U = 2.0**-24
MIN_NORMAL = 2.0**-126
MAX_FLOAT32 = float(np.finfo(np.float32).max)
words = str.split
ROUNDED_ONCE = set(words("add subtract multiply divide sqrt square reciprocal remainder astype linalg.outer"))
ELEMENTARY_FUNCTIONS = set(
    words("exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh")
)
ELEMENTARY_FUNCTIONS |= set(words("atanh pow hypot atan2"))
SUMS = set(words("sum mean prod var std cumulative_sum cumulative_prod linalg.trace linalg.vector_norm"))
DOTS = set(words("matmul tensordot vecdot linalg.matmul linalg.tensordot linalg.vecdot"))
EXACT_CALLS = set(
    words("""
positive negative abs sign signbit floor ceil trunc round floor_divide max maximum min minimum clip
copysign nextafter real imag conj where take take_along_axis concat stack reshape expand_dims squeeze triu
tril broadcast_to broadcast_arrays permute_dims matrix_transpose moveaxis flip roll repeat tile sort
unique_values unique_counts unique_inverse unique_all zeros zeros_like ones ones_like full full_like empty
empty_like eye arange meshgrid unstack linalg.diagonal linalg.matrix_transpose
""")
)


def perturb(r: Any, e: Any, rng: np.random.Generator | None) -> Any:
    """r + e xi, not on float32's grid, where few runs may by chance all meet; without ``rng`` r."""
    if np.iscomplexobj(r):
        return perturb(r.real, e, rng) + 1j * perturb(r.imag, e, rng)
    out = r if rng is None else r + np.where(np.isfinite(r), e, 0.0) * rng.uniform(-1, 1, np.shape(r))
    out = np.where(np.abs(out) > MAX_FLOAT32 * (1 + U / 2), np.copysign(np.inf, out), out)
    return (
        out
        if rng is None
        else np.where((np.abs(out) < MIN_NORMAL) & (rng.random(np.shape(r)) < 0.5), 0.0, out)
    )


def n_terms(call: Call, r: Any) -> int:
    """How many numbers are added up in one element of a sum or product."""
    x = call.arrays()[0]
    along = "tensordot" in call.name or call.name.startswith("cumulative")
    k = max(x.shape, default=1) if along else x.size // max(np.size(r), 1)
    return int(x.shape[-1]) if call.name.endswith(("matmul", "vecdot")) else k


class Rounding:
    """A hook for a wide namespace: the oracle without ``rng``, one disturbed run with it."""

    perturbed_results = ROUNDED_ONCE | ELEMENTARY_FUNCTIONS | SUMS | DOTS

    def __init__(self, rng: np.random.Generator | None = None):
        self.rng = rng

    def __call__(self, call: Call) -> Any:
        if call.name in EXACT_CALLS or not WIDER_DTYPES.keys() & set(leaves(call.dtypes)):
            return call.compute()
        call.args = tuple(self._perturb_constant(x) if type(x) is float else x for x in call.args)
        summed = call.name in SUMS | DOTS
        on_result = self.rng is None or call.name in self.perturbed_results
        results = (
            call.compute() if on_result else call.compute(lambda a: self._perturb_argument(call.name, a))
        )
        size = self.sum_error(call, results) if summed and self.rng else None
        if not isinstance(call.dtypes, tuple | list):
            return self._perturb_result(call, results, size)
        pairs = zip(results, call.dtypes, strict=True)
        return [self._perturb_result(call, r, size) if d in WIDER_DTYPES else r for r, d in pairs]

    def _perturb_result(self, call: Call, r: Any, size: Any) -> Any:
        if size is None:
            narrow = np.asarray(r).astype(np.complex64 if np.iscomplexobj(r) else np.float32)
            most = 1.0 if call.name in ROUNDED_ONCE else 3.0 if call.name in ELEMENTARY_FUNCTIONS else 4.0
            size = np.where(r == narrow, 0.0, most * np.abs(r))
        return perturb(r, U * self.first_value(size), self.rng)

    def first_value(self, value: Any) -> Any:
        """For runs whose errors stay when the arguments move: what it was in the first one."""
        return value

    def _perturb_constant(self, x: float) -> float:
        """A Python number among arrays is rounded to their dtype, by some libraries later than by others."""
        narrow = float(np.float32(x))
        return narrow if self.rng is None or narrow == x else narrow + U * abs(x) * self.rng.uniform(-1, 1)

    def _perturb_argument(self, name: str, a: Any) -> Any:
        if self.rng is None or not isinstance(a, Array) or a.dtype not in WIDER_DTYPES or not a.size:
            return unwrap(a)
        size = np.abs(a.value)
        if name.startswith(("linalg.", "fft.")):
            size = np.max(size) * (np.sqrt(max(a.shape, default=1)) if name[0] == "l" else 1.0)
        return a.value + 3 * U * size * self.rng.uniform(-1, 1, a.shape)

    def sum_error(self, call: Call, r: Any) -> Any:
        """e / u of a sum, zero where whole numbers are added exactly."""
        arrays = call.arrays()
        k = n_terms(call, r)
        if call.name in ("var", "std"):  # in two passes: the mean's error counts squared
            mean = np.sqrt(k) * np.mean(np.abs(arrays[0].value), axis=call.kwargs.get("axis"))
            mean = np.reshape(mean, np.shape(r)) ** 2 * U
            return r * np.sqrt((k + 2) / 3) + (
                mean if call.name == "var" else mean / np.maximum(r, MIN_NORMAL)
            )
        total = np.abs(call.compute(lambda a: np.abs(a.value) if isinstance(a, Array) else a))
        whole = all(np.all(a.value == np.rint(a.value)) for a in arrays)
        exact = whole and call.name not in ("mean", "linalg.vector_norm")
        return np.where((total < 2**24) & exact, 0.0, total * np.sqrt((k + 2) / 3))
