"""The oracle: a function computed in a wider dtype on NumPy, and error bounds from perturbed runs."""

import inspect
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj, is_jax_namespace

from array_agreement.bounds import Bound, Verdict, is_close
from array_agreement.calls import Array, unwrap, unwrap_narrow
from array_agreement.rounding import Rounding, largest, limits
from array_agreement.targets import Function, InputError, Target, default_dtype, describe_exception, to_numpy
from array_agreement.values import (
    argument_name,
    convert_floats,
    convert_other,
    leaves,
    number_to_array,
    outputs,
    tree_map,
)
from array_agreement.watched import WatchedNamespace


class Oracle:
    """Exact results and error bounds of a function.

    Args:
        f: ``f(xp, *args, **kwargs)`` or ``f(*args, **kwargs)``
        args: arguments; arrays in them, also in tuples, lists and dicts, become arrays of each library
        runs: number of perturbed runs that the bounds are derived from
        seed: seed of the perturbations
        kwargs: keyword arguments, converted like ``args``
        dtype: round all float64 and complex128 arrays to this precision ("float32"); None keeps them
    """

    def __init__(
        self,
        f: Function,
        args: Sequence[Any],
        runs: int = 16,
        seed: int = 0,
        kwargs: Mapping[str, Any] | None = None,
        dtype: str | None = None,
    ):
        self.takes_namespace = False
        with suppress(ValueError):  # functions written in C may have no signature
            self.takes_namespace = [*inspect.signature(f).parameters][:1] == ["xp"]
        self.f = f
        self.inner = inspect.unwrap(f, stop=lambda g: not is_compiler(g))
        """f without ``jax.jit``, under which each perturbed run would be compiled again."""
        if dtype not in (None, "float32", "float64"):
            raise InputError(f"dtype is {dtype!r}, expected 'float32', 'float64' or None")
        self.args = tree_map(lambda x: convert_floats(x, dtype), [args, dict(kwargs or {})])
        self.runs = runs
        self.seed = seed
        self.is_jax = False
        """Whether the bounds are those of JAX."""
        self.spaces = dict[str, WatchedNamespace]()
        """The namespaces of the runs so far: default dtype -> namespace."""
        computes = self.arrays or (self.try_run(Rounding(), "float64") and self.spaces["float64"].n_calls)
        if not computes:  # from numbers and lists as they are
            positional, named = self.args
            named = {key: number_to_array(x) for key, x in named.items()}
            self.args = [[*map(number_to_array, positional)], named]
        chars = {x.dtype.char for x in self.arrays}
        self.default = "float64" if chars & set("dD") else "float32" if chars & set("fF") else None
        """The dtype that new arrays should have: that of the arguments. If none is inexact, float64 if all
        results have it on a library with the default float32, and else None."""
        if not self.default:  # a result in float64 that f asks for needs new arrays in float64
            results = self.try_run(Rounding(), "float32").values()
            kinds = {x.dtype.char for x in results if isinstance(x, Array) and x.dtype.kind in "fc"}
            self.default = "float64" if kinds and kinds <= set("dD") else None
        self.limit = limits(self.default or "float64")
        self._bounds = dict[tuple[str, bool], dict[str, Bound]]()

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arrays among the arguments."""
        return [x for x in leaves(self.args) if isinstance(x, np.ndarray)]

    def run(self, xp: Any, convert: Function, compiler: Any = None) -> dict[str, Any]:
        """Return f's outputs in the namespace ``xp``, and the arguments after the call.

        Args:
            xp: the namespace
            convert: turns a NumPy array into one of xp's
            compiler: compiles a function of the arrays, such as ``jax.jit``
        """

        def call(inputs: list[Any]) -> dict[str, Any]:
            rest = iter(inputs)
            args, kwargs = tree_map(
                lambda x: next(rest) if isinstance(x, np.ndarray) else convert_other(x, xp), self.args
            )
            if self.takes_namespace:
                args = [xp, *args]
            elif "xp" in kwargs:
                kwargs["xp"] = xp
            f = self.f if is_jax_namespace(xp) else self.inner
            return dict(outputs(f(*args, **kwargs)))

        with np.errstate(all="ignore"):
            inputs = [convert(x.copy()) for x in self.arrays]
            found = compiler(call)(inputs) if compiler else call(inputs)
        return found | {argument_name(i): x for i, x in enumerate(inputs)}

    def run_hooked(self, hook: Any, default: str, move: Function = lambda x: x) -> dict[str, Any]:
        """Run f in a namespace that passes each call to ``hook``.

        Args:
            hook: ``hook(call)`` returns the result of a call
            default: the default dtype, "float32" or "float64"
            move: returns the values of an argument; float64 in place of float32 is not rounded

        Returns f's outputs and the arguments after the call.
        """
        space = self.spaces.setdefault(default, WatchedNamespace(wide=True, default=default))
        space.hook = hook
        space.is_jax = self.is_jax
        space.n_runs += 1
        space.n_calls = 0
        space.has_left = False
        space.numpy_places = set()
        space.inputs = []

        def convert(x: np.ndarray) -> Array:
            space.inputs.append(Array(space, move(x).astype(space.storage(x.dtype)), x.dtype, computed=False))
            return space.inputs[-1]

        results = self.run(space, convert)
        return {n: space.asarray(x) if isinstance(x, np.ndarray) else x for n, x in results.items()}

    @np.errstate(all="ignore")
    def bounds(self, default: str) -> dict[str, Bound]:
        """Return the bound of each output, for a library with this default dtype.

        Raises InputError: f returns no array and no number.
        """
        key = default, self.is_jax
        if key in self._bounds:
            return self._bounds[key]
        exact = self.run_hooked(Rounding(), default)
        n_calls = self.spaces[default].n_calls
        unchanged = self._find_unchanged(exact)
        if exact.keys() == unchanged:
            raise InputError("f returns no array and no number, expected at least one to compare")
        rngs = (np.random.default_rng([self.seed, number]) for number in range(self.runs))
        hooks = [Rounding(), *map(Rounding, rngs)]
        runs = [self.try_run(hook, default) for hook in hooks]
        places = sorted({place for hook in hooks for place in hook.unspecified})
        unspecified = f", or what the standard leaves to the library: {', '.join(places)}" if places else ""
        unit = max((largest(x) for x in self.arrays if x.dtype.kind in "iufc"), default=1.0)
        bounds = dict[str, Bound]()
        for name, x in exact.items():
            compared = runs[:2] if name in unchanged else runs  # arguments are often large
            again, *others = (unwrap(run.get(name, np.nan)) for run in compared)
            differs = not is_close(again, unwrap(x))
            # A Python number shows no origin: it counts if the run made any call.
            computed = x.computed if isinstance(x, Array) else n_calls
            bounds[name] = Bound(
                name,
                unwrap(x),
                others,
                getattr(x, "dtype", None),
                self.limit,
                not computed and name not in unchanged,
                "two runs of the oracle differ: f is not deterministic" * differs,
                unit,
                unspecified,
                getattr(x, "unordered", False),
            )
            if place := getattr(x, "written", ""):
                bounds[name].note = f"f writes into it at {place}\n    {bounds[name].note}".rstrip()
        self._bounds[key] = bounds
        return bounds

    def _find_unchanged(self, results: Mapping[str, Any]) -> set[str]:
        """Return the names of the arguments that the call left as they are; ``results`` has them after it."""
        before = {argument_name(i): x for i, x in enumerate(self.arrays)}
        return {n for n, x in before.items() if is_close(unwrap_narrow(results[n]), x)}

    def default_for(self, backend: Target) -> str:
        """Return the dtype that new arrays should have: that of the arguments, or the backend's default."""
        return self.default or default_dtype(backend.xp)

    def try_run(self, hook: Any, default: str) -> dict[str, Any]:
        """Return the outputs of a run with a hook; none if it makes f raise an exception.

        Raises MemoryError: the machine lacks memory, which says nothing about f.
        """
        try:
            return self.run_hooked(hook, default)
        except MemoryError:
            raise
        except Exception:  # each function has its own exceptions
            return {}

    def judge(self, backend: Target, wide: bool = False, default: str | None = None) -> list[Verdict]:
        """Return a verdict for each output of f on one backend. An exception in f becomes a verdict too.

        ``wide``: f computes in float64 from float64 arrays. Its outputs may have any dtype, and only
        differences of more than 100 roundings count. ``default``: the default dtype of the oracle, by default
        that of the arguments.
        """
        self.is_jax = is_jax_namespace(backend.xp)
        default = default or self.default_for(backend)
        failure = ""
        try:
            bounds = self.bounds(default)
        except (InputError, MemoryError):
            raise
        except Exception as error:
            bounds = {}
            failure = f"there is no bound: the oracle, on NumPy, {describe_exception(error)}"
        put = lambda x: backend.to_array(convert_floats(x, "float64" if wide else None))  # noqa: E731
        try:
            results = self.run(backend.xp, put, compiler=backend.compile)
            values = {name: to_numpy(x) for name, x in results.items()}
        except MemoryError:
            raise
        except Exception as error:  # each library has its own exceptions
            return [Verdict(backend.name, "call", np.inf, describe_exception(error))]
        if failure:
            return [Verdict(backend.name, "call", 0.0, failure, unjudged=1)]
        unchanged = self._find_unchanged({name: bound.exact for name, bound in bounds.items()})
        unchanged &= self._find_unchanged(values)
        found = [name for name in values if name not in unchanged]
        expected = [name for name in bounds if name not in unchanged]
        if values.keys() != bounds.keys():
            return [Verdict(backend.name, "results", np.inf, f"{found}, expected {expected}")]
        verdicts = [bounds[name].judge(backend.name, values[name], wide) for name in found]
        here = backend.describe(backend.to_array(np.zeros(1, np.float32)))
        places = ", ".join(sorted(self.spaces[default].numpy_places))
        hint = places and f"NumPy itself is called at {places}: write xp. for np."
        for verdict in verdicts:
            x, bound = results[verdict.output], bounds[verdict.output]
            verdict.vacuous = bound.vacuous
            verdict.note += hint * bound.vacuous
            if isinstance(x, np.generic) or (backend.compile and bound.dtype is None):
                continue
            kind = backend.describe(x) if is_array_api_obj(x) else "a Python number"
            expected_kind = "a Python number" if bound.dtype is None else here
            if kind != expected_kind and not bound.vacuous:
                verdict.ratio, verdict.element = np.inf, ""
                verdict.note = f"{kind}, expected {expected_kind}\n    {hint}".rstrip()
        return verdicts


def is_compiler(f: Any) -> bool:
    """Return whether a function wraps another one to compile it, or to count what dask computes."""
    maker = f.__code__.co_qualname if hasattr(f, "__code__") else type(f).__module__
    return maker.partition(".")[0] in ("jaxlib", "jax_autojit", "_dask_wrap")  # array-api-extra's
