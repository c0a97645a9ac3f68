"""The oracle: a function of float32 numbers, computed in float64, and error bounds from perturbed runs."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from array_api_compat import is_array_api_obj

from array_agreement.bounds import Bound, Verdict
from array_agreement.rounding import Rounding
from array_agreement.targets import InputError, Target, shorten
from array_agreement.watched import Array, WatchedNamespace, unwrap


def outputs(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Yield (name, array or number) for each leaf of nested tuples, lists, dicts and result objects."""
    if isinstance(value, int | float | complex | np.generic) or is_array_api_obj(value):
        yield name or "result", value
        return
    if isinstance(value, tuple | list) and not hasattr(value, "_asdict"):
        value = dict(enumerate(value))
    elif not isinstance(value, dict):
        value = value._asdict() if hasattr(value, "_asdict") else getattr(value, "__dict__", {})
    for key in (key for key in value if not str(key).startswith("_")):
        yield from outputs(value[key], f"{name}.{key}" if name else str(key))


class Oracle:
    """Exact results and error bounds of a function.

    Args:
        f: ``f(xp, *arrays)`` or ``f(*arrays)``
        arrays: arguments; NumPy arrays in float64 and complex128 are rounded to float32 and complex64
        runs: number of perturbed runs that the bounds are derived from
        seed: seed of the perturbations
    """

    def __init__(self, f: Callable[..., Any], arrays: Iterable[Any], runs: int = 16, seed: int = 0):
        try:
            first: Any = next(iter(inspect.signature(f).parameters), None)
        except ValueError:  # functions written in C may have no signature
            first = None
        self.f: Callable[..., Any] = f if first == "xp" else lambda xp, *arrays: f(*arrays)
        narrow = {"d": np.float32, "D": np.complex64}
        self.arrays = [x.astype(narrow.get(x.dtype.char, x.dtype)) if isinstance(x, np.ndarray) else x
                       for x in arrays]  # fmt: skip
        self.runs = runs
        self.seed = seed
        self._bounds = dict[str, dict[str, Bound]]()
        self._spaces = dict[str, WatchedNamespace]()

    def run(self, xp: Any, convert: Callable[[Any], Any], arrays: Any = None) -> dict[str, Any]:
        """Return f's outputs in the namespace ``xp``; ``convert(x)`` turns a NumPy array into one of xp's."""
        arrays = [convert(x.copy()) if isinstance(x, np.ndarray) else x for x in arrays or self.arrays]
        with np.errstate(all="ignore"):
            return dict(outputs(self.f(xp, *arrays)))

    def run_hooked(
        self, hook: Any, default: str, arrays: Any = None
    ) -> tuple[dict[str, Any], WatchedNamespace]:
        """Run f in a namespace that passes each call to ``hook``.

        Args:
            hook: ``hook(call)`` returns the result of a call
            default: the default dtype, "float32" or "float64"
            arrays: arguments in place of the oracle's; float64 arrays are not rounded, but their dtype
                reads as float32

        Returns f's outputs and the namespace.
        """
        space = self._spaces.setdefault(default, WatchedNamespace(wide=True, default=default))
        space.hook = hook
        dtype = np.dtype("float32")
        convert = lambda x: Array(space, x, dtype) if x.dtype == float else space.asarray(x)  # noqa: E731
        return self.run(space, convert, arrays), space

    def bounds(self, default: str) -> dict[str, Bound]:
        """Return the bound of each output, for a library with this default dtype.

        Raises InputError: f returns no array and no number.
        """
        if default not in self._bounds:
            exact, space = self.run_hooked(Rounding(), default)
            if not exact:
                raise InputError("f returns no array and no number, expected at least one to compare")
            if self._bounds and not space.default_used:
                return next(iter(self._bounds.values()))
            generators = [np.random.default_rng([self.seed, i]) for i in range(self.runs)]
            runs = [self.run_hooked(Rounding(rng), default)[0] for rng in generators]
            with np.errstate(all="ignore"):
                for name, x in exact.items():
                    others = [unwrap(run.get(name, np.nan)) for run in runs]
                    bound = Bound(name, unwrap(x), others, getattr(x, "dtype", None))
                    self._bounds.setdefault(default, {})[name] = bound
        return self._bounds[default]

    def judge(self, backend: Target) -> list[Verdict]:
        """Return a verdict for each output of f on one backend. An exception in f becomes a verdict too."""
        bounds = self.bounds(default_dtype(backend.xp))
        try:
            results = self.run(backend.xp, backend.to_array)
            values = {name: backend.to_numpy(x) for name, x in results.items()}
        except Exception as error:  # each library has its own exceptions
            return [Verdict(backend.name, "call", np.inf, f"raises {type(error).__name__}: {shorten(error)}")]
        if values.keys() != bounds.keys():
            return [Verdict(backend.name, "results", np.inf, f"{list(values)}, expected {list(bounds)}")]
        with np.errstate(all="ignore"):
            return [bounds[name].judge(backend.name, value) for name, value in values.items()]


def default_dtype(xp: Any) -> str:
    """Return the dtype of new floating-point arrays in a namespace: "float32" or "float64"."""
    info = getattr(xp, "__array_namespace_info__", None)
    return str(info().default_dtypes()["real floating"]).rpartition(".")[2] if info else "float64"
