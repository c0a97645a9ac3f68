"""Gradients: a backend's autograd against differences of the oracle, as in docs/agreement-for-your-code.md.

The floating-point arrays that f returns, times random weights, are added up. The gradient g of this sum is
compared in about 16 directions d: each has elements of its own, where d is x or -x (1 where x is 0).
"""

import importlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from array_api_compat import is_jax_array, is_torch_array

from backends.backend import Backend
from backends.errors import InputError, shorten
from backends.testing.bounds import Bound, Verdict
from backends.testing.oracle import Oracle, default_dtype, to_numpy
from backends.testing.rounding import DOTS, EXACT_CALLS, ROUNDED_ONCE, SUMS, Rounding, U, n_terms
from backends.testing.watched import WIDER_DTYPES, Array, Call, leaves, tree_map

MAX_DIRECTIONS = 16
STEPS = 2.0 ** -np.arange(4, 20, 3)
PERTURBED_STEP = 3  # the step of disturbed runs


class Backward(Rounding):
    """A disturbed run whose errors stay while x moves, so that it has derivatives, which are off as well.

    ``begin`` starts each run; the first is at the point itself.
    """

    perturbed_results = (ROUNDED_ONCE | SUMS | DOTS) - {"var", "std"}

    def __init__(self, *seed: int):
        self.seed = seed
        self.first = list[Any]()

    def begin(self) -> "Backward":
        self.rng, self.errors = np.random.default_rng(self.seed), np.random.default_rng((*self.seed, 1))
        self.at = 0
        return self

    def first_value(self, value: Any) -> Any:
        if self.at == len(self.first):
            self.first.append(np.array(value))
        self.at += 1
        first = self.first[self.at - 1]
        return first if first.shape == np.shape(value) else value  # on another path through f nothing fits

    def perturbation(self, size: Any, x: Any) -> Any:
        """How far x has moved, times an error."""
        return U * size * self.errors.uniform(-1, 1, np.shape(x)) * (x - self.first_value(x))

    def __call__(self, call: Call) -> Any:
        arrays = [x for x in call.arrays() if x.dtype in WIDER_DTYPES]
        if not arrays or not WIDER_DTYPES.keys() & set(leaves(call.dtypes)):
            return super().__call__(call)

        def perturb_derivative(r: Any) -> Any:
            k = n_terms(call, r) if call.name in DOTS or call.name.startswith("cumulative") else 1
            fan = max(1.0, np.size(r) * k / max(min(x.size for x in arrays), 1))
            exact = call.name in EXACT_CALLS and fan == 1
            return r if exact or np.asarray(r).dtype.kind not in "fc" else r + self.perturbation(fan + 3, r)

        result = tree_map(perturb_derivative, super().__call__(replace(call)))
        from_result = call.name in ("tanh", "expm1") or "special." in call.name
        if not from_result or len(arrays) > 1:
            return result
        return result + self.perturbation(4 * np.abs(self.first_value(result)), arrays[0].value)


class Gradient:
    """The bound of f's gradient; ``judge`` compares a backend with it."""

    def __init__(self, oracle: Oracle):
        self.oracle = oracle
        self.rng = np.random.default_rng([oracle.seed, 0])
        self.floats = [x for x in oracle.arrays if _is_float(x)]
        if not self.floats:
            raise InputError("no argument is an array of real numbers, expected one for gradient=True")
        each = max(1, MAX_DIRECTIONS // len(self.floats))
        groups = np.concatenate([i * each + np.arange(x.size) % each for i, x in enumerate(self.floats)])
        self.groups = np.unique(groups, return_inverse=True)[1]
        self.point = x = np.concatenate([x.ravel() for x in self.floats], dtype=np.float64)
        moves = np.where(np.isfinite(x), np.where(x == 0, 1.0, x), 0.0)
        self.moves = moves * self.rng.choice([-1, 1], x.size)
        self.weights, self.bound = dict[str, Any](), cache(self._bound)

    def _sums(self, hook: Rounding, default: str, move: Any = 0.0) -> Any:
        """Weight times output, of all outputs in one array."""
        parts = iter(np.split(self.point + move, np.cumsum([x.size for x in self.floats])))
        arrays = [next(parts).reshape(x.shape) if _is_float(x) else x for x in self.oracle.arrays]
        found, _ = self.oracle.watched(hook, default, arrays)
        values = {
            name: x.value for name, x in found.items() if isinstance(x, Array) and x.value.dtype == float
        }
        for name in [name for name in values if name not in self.weights]:
            self.weights[name] = np.float32(self.rng.normal(size=values[name].shape))
        if not self.weights:
            raise InputError("f returns no floating-point array, expected one for gradient=True")
        return np.concatenate([np.ravel(weight * values[name]) for name, weight in self.weights.items()])

    def _bound(self, default: str) -> Bound:
        """For a library with this default dtype; NaN where f jumps or has a kink."""
        hooks = [Backward(self.oracle.seed, run, 1) for run in range(self.oracle.runs)]
        base = self._sums(Rounding(), default)
        bases = [self._sums(h.begin(), default) for h in hooks]
        rows = []
        for group in range(self.groups.max() + 1):
            move = np.where(self.groups == group, self.moves, 0.0)
            ahead = [self._sums(Rounding(), default, move * step) - base for step in STEPS]
            behind = [base - self._sums(Rounding(), default, -move * step) for step in STEPS]
            right = np.sum(ahead, axis=1) / STEPS
            left = np.sum(behind, axis=1) / STEPS
            slopes = (right + left) / 2
            jumps = np.abs(right - left)
            change = np.abs(np.diff(slopes))  # from one step to the next, which is 8 times shorter
            best = np.argmin(np.where(np.isnan(change), np.inf, change))
            kink = jumps[PERTURBED_STEP] if jumps[PERTURBED_STEP] > jumps[PERTURBED_STEP - 1] / 2 else 0.0
            moved = [self._sums(h.begin(), default, move * STEPS[PERTURBED_STEP]) for h in hooks]
            spread = np.sum(np.subtract(moved, bases), axis=1) / STEPS[PERTURBED_STEP] - right[PERTURBED_STEP]
            rows.append([slopes[best + 1], change[best], kink, *(slopes[best + 1] + spread)])
        exact, change, kinks, *runs = np.transpose(rows)
        bound = Bound("gradient", exact, runs, np.float64)
        bound.bound = np.where(kinks > bound.bound / 10, np.nan, bound.bound + change)
        return bound

    def judge(self, backend: Backend) -> list[Verdict] | None:
        """Of autograd; None: the library has none."""
        put = backend.from_host
        xp = backend.xp
        sample = put(np.zeros(1, dtype=np.float32))
        library = "torch.func" if is_torch_array(sample) else "jax" if is_jax_array(sample) else None
        if library is None:
            return None

        def values(*floats: Any) -> tuple[Any, ...]:
            rest = iter(floats)
            copies = lambda x: 1 * next(rest) if _is_float(x) else put(x)  # noqa: E731  # f may write into them
            found = self.oracle.run(xp, copies)
            return tuple(found[name] for name in self.weights)

        with np.errstate(all="ignore"):
            bound = self.bound(default_dtype(xp))
            try:
                found, back = importlib.import_module(library).vjp(values, *map(put, self.floats))
                weights = (put(w, x.dtype) for x, w in zip(found, self.weights.values(), strict=True))
                gradient = [np.ravel(to_numpy(backend, x)) for x in back(tuple(weights))]
            except Exception as error:  # each library has its own
                note = f"raises {type(error).__name__}: {shorten(error)}"
                return [Verdict(backend.name, "gradient", np.inf, note)]
            products = self.moves * np.where(self.moves == 0, 0, np.concatenate(gradient, dtype=np.float64))
            return [bound.judge(backend.name, np.bincount(self.groups, products))]


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.float32
