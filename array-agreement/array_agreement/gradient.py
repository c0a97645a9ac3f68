"""Compare a backend's autograd with finite differences of the oracle; see docs/bounds.md.

The floating-point arrays that f returns are multiplied by random weights and summed. The gradient g of this
sum is compared in up to 16 directions d. Each direction covers different elements, with d = x or -x (1 where
x is 0).
"""

import importlib
from functools import cached_property, partial
from typing import Any

import numpy as np
from array_api_compat import is_jax_namespace, is_torch_namespace

from array_agreement.bounds import Bound, Verdict
from array_agreement.calls import WIDER_DTYPES, Array, Call
from array_agreement.oracle import Oracle
from array_agreement.rounding import (
    DOTS,
    EXACT_CALLS,
    FLOAT32,
    ROUNDED_ONCE,
    SUMS_AND_DOTS,
    Rounding,
    limits,
    n_terms,
)
from array_agreement.targets import InputError, Target, describe_exception, to_numpy
from array_agreement.values import leaves, tree_map

MAX_DIRECTIONS = 16
STEPS = 2.0 ** -np.arange(4, 20, 3)
PERTURBED_STEP = 3  # index in STEPS of the step of perturbed runs and of the test for kinks


class Backward(Rounding):
    """A perturbed run with rounding errors that stay fixed while x moves, so that it has derivatives.

    The derivative of each call is perturbed as well, by the errors of a backward pass.

    Args:
        seed: of the random errors
        first: values of the first run, which must be at the point x itself; an empty list in that run
    """

    perturbed_results = (ROUNDED_ONCE | SUMS_AND_DOTS) - {"var", "std"}
    rng: Any

    def __init__(self, seed: list[int], first: list[Any]):
        super().__init__(np.random.default_rng(seed))
        self.first = first
        self.position = 0

    def first_value(self, value: Any) -> Any:
        """Return the value that the first run had at the same position; in the first run, record it."""
        if self.position == len(self.first):
            self.first.append(np.array(value))
        first = self.first[self.position]
        self.position += 1
        # ``f`` took another branch than in the first run.
        return first if first.shape == np.shape(value) else value

    def perturbation(self, u: float, size: Any, x: Any) -> Any:
        """Return u size xi (x - x0), with x0 from the first run and xi in [-1, 1] the same in each run."""
        return u * size * self.rng.uniform(-1, 1, np.shape(x)) * (x - self.first_value(x))

    def __call__(self, call: Call) -> Any:
        arrays = [x for x in call.arrays if x.dtype in WIDER_DTYPES]
        if not arrays or WIDER_DTYPES.keys().isdisjoint(leaves(call.dtypes)):
            return super().__call__(call)
        u = max(limits(dtype).u for dtype in leaves(call.dtypes))

        def perturb_derivative(r: Any) -> Any:
            k = n_terms(call, r) if call.name in DOTS or call.name.startswith("cumulative") else 1
            # results that one argument affects: its derivative is a sum of as many numbers
            n_affected = max(1.0, np.size(r) * k / (min(x.size for x in arrays) or 1))
            exact = call.name in EXACT_CALLS and n_affected == 1
            if exact or np.asarray(r).dtype.kind not in "fc":
                return r
            return r + self.perturbation(u, n_affected + 3, r)

        result = tree_map(perturb_derivative, super().__call__(call))
        # Libraries may compute these derivatives from the rounded result: tanh' = 1 - tanh^2.
        from_result = call.name in ("tanh", "expm1") or "special." in call.name
        if not from_result:
            return result
        return result + self.perturbation(u, 4 * np.abs(self.first_value(result)), arrays[0].value)


class Gradient:
    """The bound of the gradient of ``oracle.f`` in float32; ``judge`` compares a backend with it.

    Raises:
        InputError: no argument is a float32 array.
    """

    def __init__(self, oracle: Oracle):
        self.oracle = oracle
        self.rng = np.random.default_rng([oracle.seed, 0])
        self.floats = [x for x in oracle.arrays if _is_float(x)]
        if not self.floats:
            raise InputError("no argument is an array of real numbers, expected one for gradient=True")
        self.point = x = np.concatenate([x.ravel() for x in self.floats], dtype=np.float64)
        self.groups = np.arange(x.size) % MAX_DIRECTIONS  # index of the direction of each element
        moves = np.where(np.isfinite(x), np.where(x == 0, 1.0, x), 0.0)
        self.moves = moves * self.rng.choice([-1, 1], x.size)
        self.weights = dict[str, Any]()

    def _weighted_outputs(self, hook: Rounding, move: Any = 0.0) -> Any:
        """Run f at the point plus ``move`` and return all weighted output elements in one vector.

        Args:
            hook: computes each call.
            move: step of all floating-point arguments, flattened and joined.

        Raises:
            InputError: f returns no floating-point array.
        """
        parts = iter(np.split(self.point + move, np.cumsum([x.size for x in self.floats])))
        moved = lambda x: next(parts).reshape(x.shape) if _is_float(x) else x  # noqa: E731
        outputs = self.oracle.run_hooked(hook, "float32", moved)
        floats = {
            name: x
            for name, x in outputs.items()
            if not name.startswith("argument ") and isinstance(x, Array) and x.value.dtype.kind == "f"
        }
        if not self.weights:
            self.weights = {name: np.float32(self.rng.normal(size=x.shape)) for name, x in floats.items()}
        if not self.weights:
            raise InputError("f returns no floating-point array, expected one for gradient=True")
        return np.concatenate(
            [np.ravel(weight * floats[name].value) for name, weight in self.weights.items()]
        )

    @cached_property
    def bound(self) -> Bound:
        """The bound in each direction; NaN where f jumps or has a kink."""
        hooks = [partial(Backward, [self.oracle.seed, run, 1], []) for run in range(self.oracle.runs)]
        base = self._weighted_outputs(Rounding())
        bases = [self._weighted_outputs(hook()) for hook in hooks]
        rows = []
        for direction in range(self.groups.max() + 1):
            move = np.where(self.groups == direction, self.moves, 0.0)
            right, left = (
                np.asarray([np.sum(self._weighted_outputs(Rounding(), move * h) - base) / h for h in steps])
                for steps in (STEPS, -STEPS)
            )
            slopes = (right + left) / 2
            jumps = np.abs(right - left)
            change = np.abs(np.diff(slopes))  # between steps that differ by a factor of 8
            best = np.argmin(np.where(np.isnan(change), np.inf, change))
            kink = jumps[PERTURBED_STEP] if jumps[PERTURBED_STEP] > jumps[PERTURBED_STEP - 1] / 2 else 0.0
            step = STEPS[PERTURBED_STEP]
            moved = [self._weighted_outputs(hook(), move * step) for hook in hooks]
            spread = np.sum(np.subtract(moved, bases), axis=1) / step - right[PERTURBED_STEP]
            rows.append([slopes[best + 1], change[best], kink, *(slopes[best + 1] + spread)])
        exact, change, kinks, *runs = np.transpose(rows)
        bound = Bound("gradient", exact, runs, None, FLOAT32)
        bound.close = -1.0  # at a kink, no number is right
        bound.bound = np.where(kinks > bound.bound / 10, np.nan, bound.bound + change)
        return bound

    def judge(self, backend: Target) -> list[Verdict]:
        """Compare a backend's gradient with the bound; return nothing if the backend has no autograd."""
        put = backend.to_array
        library = "torch.func" if is_torch_namespace(backend.xp) else "jax" * is_jax_namespace(backend.xp)
        if not library:
            return []

        def values(*floats: Any) -> tuple[Any, ...]:
            rest = iter(floats)
            copy = lambda x: 1 * next(rest) if _is_float(x) else put(x)  # noqa: E731  # f may write in place
            outputs = self.oracle.run(backend.xp, copy)
            return tuple(outputs[name] for name in self.weights)

        try:
            bound = self.bound
            results, vjp = importlib.import_module(library).vjp(values, *map(put, self.floats))
            weights = (put(w, x.dtype) for x, w in zip(results, self.weights.values(), strict=True))
            gradient = [np.ravel(to_numpy(x)) for x in vjp(tuple(weights))]
        except (InputError, MemoryError):
            raise
        except Exception as error:  # each library raises its own types
            return [Verdict(backend.name, "gradient", np.inf, describe_exception(error))]
        products = self.moves * np.where(self.moves == 0, 0, np.concatenate(gradient, dtype=np.float64))
        return [bound.judge(backend.name, np.bincount(self.groups, products))]


def _is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype == np.float32
