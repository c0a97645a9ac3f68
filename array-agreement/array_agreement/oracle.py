"""The oracle: a function computed in a wider dtype on NumPy, and error bounds from perturbed runs."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from traceback import walk_tb
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj, is_jax_namespace

from array_agreement.bounds import Bound, Verdict, is_within_rounding
from array_agreement.calls import Array, unwrap, unwrap_narrow
from array_agreement.rounding import FLOAT32, FLOAT64, Rounding
from array_agreement.targets import InputError, Target, is_user_code, shorten
from array_agreement.trees import leaves, tree_map
from array_agreement.values import argument_name, convert_floats, number_to_array, outputs
from array_agreement.watched import WatchedNamespace

CONVERSIONS = {"asarray", "array", "from_dlpack", "devices", "device", "dtype", "shape", "ndim", "size"}
"""Functions and attributes that compute nothing."""


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
        f: Callable[..., Any],
        args: Iterable[Any],
        runs: int = 16,
        seed: int = 0,
        kwargs: Mapping[str, Any] | None = None,
        dtype: str | None = None,
    ):
        try:
            first: Any = next(iter(inspect.signature(f).parameters), None)
        except ValueError:  # functions written in C may have no signature
            first = None
        self.f = f if first == "xp" else partial(call_without_namespace, f)
        if dtype not in (None, "float32", "float64"):
            raise InputError(f"dtype is {dtype!r}, expected 'float32', 'float64' or None")
        self.args = tree_map(lambda x: convert_floats(x, dtype), [list(args), dict(kwargs or {})])
        self.runs = runs
        self.seed = seed
        self._spaces = dict[str, WatchedNamespace]()
        if not self.arrays:
            self._numbers_to_arrays()
        chars = {x.dtype.char for x in self.arrays}
        self.limit = FLOAT32 if chars & {"f", "F"} and not chars & {"d", "D"} else FLOAT64
        self.default = ("float32" if self.limit is FLOAT32 else "float64") if chars & set("fFdD") else None
        """The dtype of the arguments, which new arrays should have; None if no argument is inexact."""
        self._bounds = dict[str, dict[str, Bound]]()

    def _numbers_to_arrays(self) -> None:
        """Turn numbers and lists into arrays if f computes nothing from them as they are."""
        args, kwargs = self.args
        try:
            is_plain = bool(self.run_hooked(Rounding(), "float64")[1].n_calls)
        except Exception:  # f's own: it takes no numbers
            is_plain = False
        if not is_plain:
            self.args = [[*map(number_to_array, args)], {k: number_to_array(x) for k, x in kwargs.items()}]

    @property
    def arrays(self) -> list[np.ndarray]:
        """The arrays among the arguments."""
        return [x for x in leaves(self.args) if isinstance(x, np.ndarray)]

    def run(
        self,
        xp: Any,
        convert: Callable[[Any], Any],
        arrays: Any = None,
        compiler: Any = None,
        with_arguments: bool = False,
    ) -> dict[str, Any]:
        """Return f's outputs in the namespace ``xp``.

        Args:
            xp: the namespace
            convert: turns a NumPy array into one of xp's
            arrays: arguments in place of the oracle's
            compiler: compiles a function of the arrays, such as ``jax.jit``
            with_arguments: also return the arguments after the call
        """

        def call(inputs: list[Any]) -> dict[str, Any]:
            rest = iter(inputs)
            args, kwargs = tree_map(lambda x: next(rest) if isinstance(x, np.ndarray) else x, self.args)
            return dict(outputs(self.f(xp, *args, **kwargs)))

        with np.errstate(all="ignore"):
            inputs = [convert(x.copy()) for x in (self.arrays if arrays is None else arrays)]
            found = compiler(call)(inputs) if compiler else call(inputs)
        if with_arguments and not compiler:
            found |= {argument_name(i): x for i, x in enumerate(inputs)}
        return found

    def run_hooked(
        self, hook: Any, default: str, arrays: Any = None, with_arguments: bool = False
    ) -> tuple[dict[str, Any], WatchedNamespace]:
        """Run f in a namespace that passes each call to ``hook``.

        Args:
            hook: ``hook(call)`` returns the result of a call
            default: the default dtype, "float32" or "float64"
            arrays: float64 arrays in place of the oracle's float32 arrays; their values are not rounded
            with_arguments: also return the arguments after the call

        Returns f's outputs and the namespace.
        """
        space = self._spaces.setdefault(default, WatchedNamespace(wide=True, default=default))
        space.hook = hook
        space.n_calls = 0
        space.n_runs += 1
        space.has_left = False
        declared = iter([x.dtype for x in self.arrays])

        def convert(x: np.ndarray) -> Array:
            dtype = next(declared)
            return Array(space, x.astype(space.storage(dtype)), dtype, computed=False)

        results = self.run(space, convert, arrays, with_arguments=with_arguments)
        return {n: space.asarray(x) if isinstance(x, np.ndarray) else x for n, x in results.items()}, space

    def bounds(self, default: str) -> dict[str, Bound]:
        """Return the bound of each output, for a library with this default dtype.

        Raises InputError: f returns no array and no number.
        """
        if default not in self._bounds:
            hook = Rounding()
            exact, space = self.run_hooked(hook, default, with_arguments=True)
            n_calls = space.n_calls
            unchanged = {argument_name(i) for i in range(len(self.arrays))} - self._find_changes(exact)
            if exact.keys() == unchanged:
                raise InputError("f returns no array and no number, expected at least one to compare")
            again = self.try_run(Rounding(), default)
            rngs = (np.random.default_rng([self.seed, number]) for number in range(self.runs))
            runs = [self.try_run(Rounding(rng), default) for rng in rngs]
            self._bounds[default] = {}
            sizes = (np.abs(x[np.isfinite(x)]) for x in self.arrays if x.dtype.kind in "iufc")
            unit = max((float(x.max(initial=0)) for x in sizes), default=1.0)
            with np.errstate(all="ignore"):
                for name, x in exact.items():
                    same = is_within_rounding(unwrap(again.get(name, np.nan)), unwrap(x), 0.0)
                    note = "" if same else "two runs of the oracle differ: f is not deterministic"
                    compared = [exact] if name in unchanged else runs
                    others = [unwrap(run.get(name, np.nan)) for run in compared]
                    vacuous = is_vacuous(x, n_calls) and name not in unchanged
                    dtype = getattr(x, "dtype", None)
                    bound = Bound(name, unwrap(x), others, dtype, self.limit, vacuous, note, unit)
                    bound.is_wider = hook.is_wider
                    self._bounds[default][name] = bound
        return self._bounds[default]

    def default_places(self, default: str) -> list[str]:
        """Return "file:line" of each call that creates an array in the default dtype."""
        return sorted(self._spaces[default].default_places)

    def _find_changes(self, results: Mapping[str, Any]) -> set[str]:
        """Return the names of the arguments that the call changed; ``results`` has them after the call."""
        before = {argument_name(i): x for i, x in enumerate(self.arrays)}
        return {
            name
            for name, x in results.items()
            if name in before and not is_within_rounding(unwrap_narrow(x), before[name], 0.0)
        }

    def default_for(self, backend: Target) -> str:
        """Return the dtype that new arrays should have: that of the arguments, or the backend's default."""
        return self.default or default_dtype(backend.xp)

    def try_run(self, hook: Any, default: str | None = None) -> dict[str, Any]:
        """Return the outputs of a run with a hook; none if it makes f raise an exception."""
        try:
            return self.run_hooked(hook, default or self.default or "float64", with_arguments=True)[0]
        except Exception:  # each function has its own exceptions
            return {}

    def judge(self, backend: Target, wide: bool = False, default: str | None = None) -> list[Verdict]:
        """Return a verdict for each output of f on one backend. An exception in f becomes a verdict too.

        ``wide``: f computes in float64 from float64 arrays. Its outputs may have any dtype, and only
        differences of more than 100 roundings count. ``default``: the default dtype of the oracle, by default
        that of the arguments.
        """
        bounds = self.bounds(default or self.default_for(backend))
        widen = {"f": np.float64, "F": np.complex128} if wide else {}
        put = lambda x: backend.to_array(x.astype(widen.get(x.dtype.char, x.dtype)))  # noqa: E731
        try:
            results = self.run(backend.xp, put, compiler=backend.compile, with_arguments=True)
            values = {name: backend.to_numpy(x) for name, x in results.items()}
        except Exception as error:  # each library has its own exceptions
            places = [(f.f_code.co_filename, n) for f, n in walk_tb(error.__traceback__) if is_user_code(f)]
            where = "{}:{}".format(*places[-1]) if places else "its first line"
            note = f"raises {type(error).__name__}: {shorten(error)}; at {where}"
            return [Verdict(backend.name, "call", np.inf, note)]
        unchanged = {argument_name(i) for i in range(len(self.arrays))} - self._find_changes(values)
        unchanged -= set() if backend.compile else self._find_changes({n: b.exact for n, b in bounds.items()})
        bounds = {name: bound for name, bound in bounds.items() if name not in unchanged}
        values = {name: value for name, value in values.items() if name not in unchanged}
        if values.keys() != bounds.keys():
            return [Verdict(backend.name, "results", np.inf, f"{list(values)}, expected {list(bounds)}")]
        u = self.limit.u
        # XLA may replace a division by a product with the rounded reciprocal. The error is at most
        # (1 + u)^2 - 1, also where the quotient is exact.
        is_xla = backend.compile or is_jax_namespace(backend.xp)
        allowed = 100 * u if wide else 2 * u * (1 + u) if is_xla else 0.0
        with np.errstate(all="ignore"):
            verdicts = [
                bounds[name].judge(backend.name, value, allowed, wide) for name, value in values.items()
            ]
        here = backend.describe(backend.to_array(np.zeros(1, np.float32)))
        for verdict in verdicts:
            x, bound = results[verdict.output], bounds[verdict.output]
            is_number = type(x) in (bool, int, float, complex)
            if is_number != (bound.dtype is None) and not backend.compile and not isinstance(x, np.generic):
                verdict.ratio, verdict.element = np.inf, ""
                number = f"a Python {type(x).__name__}, expected an array"
                verdict.note = number if is_number else "an array, expected a Python number"
            if bound.dtype is None or bound.vacuous or not is_array_api_obj(x) or np.isscalar(x):
                continue
            if (there := backend.describe(x)) != here:
                verdict.ratio, verdict.element = np.inf, ""
                verdict.note = f"{there}, expected {here}"
        suspects = [verdict for verdict in verdicts if bounds[verdict.output].vacuous]
        if suspects and not is_called(backend.xp, lambda: self.run(backend.xp, put)):
            for verdict in suspects:
                verdict.vacuous = True
        return verdicts


def call_without_namespace(f: Callable[..., Any], xp: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Call ``f(*args, **kwargs)``. The keyword argument ``xp``, if there is one, becomes the namespace."""
    if "xp" in kwargs:
        kwargs["xp"] = xp
    return f(*args, **kwargs)


def is_vacuous(x: Any, n_calls: int) -> bool:
    """Return whether no call of the namespace produced an output of a run that made this number of calls.

    A Python number shows no origin: it counts if the run made any call.
    """
    return not x.computed if isinstance(x, Array) else n_calls == 0


def is_called(xp: Any, run: Callable[[], Any]) -> bool:
    """Return whether a run calls Python functions of a library that compute, as SciPy calls jax.scipy."""
    library = xp.__name__.partition(".")[0]
    called = set()

    def watch(frame: Any, event: str, _: Any) -> None:
        inner, outer = (
            str(f and f.f_globals.get("__name__")).partition(".")[0] for f in (frame, frame.f_back)
        )
        if event == "call" and inner == library and outer not in (library, __package__):
            called.add(frame.f_code.co_name)

    previous = sys.getprofile()
    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(previous)
    return any(name not in CONVERSIONS and not name.startswith("_") for name in called)


def default_dtype(xp: Any) -> str:
    """Return the dtype of new floating-point arrays in a namespace: "float32" or "float64"."""
    info = getattr(xp, "__array_namespace_info__", None)
    return str(info().default_dtypes()["real floating"]).rpartition(".")[2] if info else "float64"
