"""Do backends agree on a function? Their errors against bounds that the function itself gives."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backends.backend import Backend
from backends.errors import BackendUnavailable, InputError
from backends.registry import get_backend
from backends.testing.bounds import Verdict
from backends.testing.culprit import describe_first_error
from backends.testing.gradient import Gradient
from backends.testing.oracle import Oracle

Function = Callable[..., Any]
DEFAULT_BACKENDS = ("numpy", "torch", "strict")


class Disagreement(AssertionError):
    """A backend broke its bound; the argument is the Agreement with all verdicts."""


@dataclass
class Agreement:
    """What ``check_agreement`` found out; ``skipped``: backend -> why it cannot run."""

    function: str
    verdicts: list[Verdict] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        skipped = (f"{name} skipped: {why}" for name, why in self.skipped.items())
        return "\n".join([self.function, *map(str, self.verdicts), *skipped])


def find_backend(name: Any) -> Backend:
    """The Backend for a name[:device]; a namespace that can be imported, such as "jax", becomes one."""
    try:
        return name if isinstance(name, Backend) else get_backend(*name.split(":", 1))
    except InputError as error:
        try:
            xp = importlib.import_module("jax.numpy" if name == "jax" else name)
        except ImportError as missing:
            raise BackendUnavailable(f"{error}; as a module: {missing}") from None
        return Backend(name, xp, None, "float32", fused=False)


def check_agreement(
    f: Function,
    *arrays: Any,
    backends: Any = DEFAULT_BACKENDS,
    runs: int = 16,
    seed: int = 0,
    gradient: bool = False,
) -> Agreement:
    """Whether backends compute f as float64 NumPy does, up to what float32 may lose in f.

    Args:
        f: ``f(xp, *arrays)``, or ``f(*arrays)`` that finds its namespace by array_api_compat; it returns
            arrays or numbers, also in tuples, dicts or result objects.
        arrays: NumPy arrays; float64 is rounded to float32. What is no array is handed on.
        backends: a list of names ("numpy", "torch:cuda", "jax", any importable namespace) or Backends.
        runs: disturbed runs that the bounds are derived from; ``seed``: of their random numbers.
        gradient: compare the gradients of torch and JAX too: of the sum of f's arrays times random weights.

    Raises Disagreement: a bound is broken; says where, by how much, and in which call first.

    >>> import numpy as np
    >>> print(check_agreement(lambda xp, x: xp.max(x), np.ones(3), backends=["numpy"]).verdicts[0])
    numpy, result: error / bound = 0
    """
    oracle = Oracle(f, arrays, runs, seed)
    agreement = Agreement(getattr(f, "__qualname__", repr(f)))
    differences = Gradient(oracle) if gradient else None
    for name in backends:
        try:
            backend = find_backend(name)
        except BackendUnavailable as error:
            agreement.skipped[str(name)] = str(error)
            continue
        slopes = differences.judge(backend) if differences else []
        if slopes is None:
            agreement.skipped[f"the gradient on {backend.name}"] = "it has no autograd; torch and jax have"
        for derivative, verdicts in enumerate((oracle.judge(backend), slopes or [])):
            if broken := [verdict for verdict in verdicts if not verdict.agrees]:
                first = describe_first_error(oracle, backend, bool(derivative))
                broken[0].note += f"{broken[0].note and '; '}{first}"
            agreement.verdicts += verdicts
    if not all(verdict.agrees for verdict in agreement.verdicts):
        raise Disagreement(agreement)
    return agreement
