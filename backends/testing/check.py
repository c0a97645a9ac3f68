"""``check_agreement`` compares backends on a function. It derives the error bounds from the function."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from backends.backend import Backend
from backends.errors import BackendUnavailable, InputError
from backends.registry import get_backend
from backends.testing.bounds import Verdict
from backends.testing.first_error import describe_first_error
from backends.testing.gradient import Gradient
from backends.testing.oracle import Oracle

Function = Callable[..., Any]
DEFAULT_BACKENDS = ("numpy", "torch", "strict")


class Disagreement(AssertionError):
    """Raised if a backend breaks its bound. ``args[0]`` is the Agreement with all verdicts."""


@dataclass
class Agreement:
    """The result of ``check_agreement``.

    Args:
        function: qualified name of the function
        verdicts: one for each output of each backend
        skipped: backend -> reason why it was not compared
    """

    function: str
    verdicts: list[Verdict] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        skipped = (f"{name} skipped: {why}" for name, why in self.skipped.items())
        return "\n".join([self.function, *map(str, self.verdicts), *skipped])


def find_backend(name: Any) -> Backend:
    """Return the backend named "name" or "name:device", or a new one for a module such as "jax".

    Raises BackendUnavailable: the backend cannot run, or there is no module of this name.
    """
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
    """Compare f in float32 on several backends with f in float64 on NumPy.

    The bound of each output is derived from the effect of float32 rounding errors on f.

    Args:
        f: ``f(xp, *arrays)``, or ``f(*arrays)``, which may get its namespace from array_api_compat.
            It returns arrays or numbers, also in tuples, dicts or result objects.
        arrays: arguments of f. NumPy arrays in float64 are rounded to float32; others are passed unchanged.
        backends: names ("numpy", "torch:cuda", "jax", any array namespace that can be imported) or Backends.
        runs: number of perturbed runs that the bounds are derived from.
        seed: seed of the perturbations.
        gradient: on torch and JAX, also compare the gradient of the sum of f's arrays times random weights.

    Raises:
        Disagreement: an output breaks its bound. The message names the output, its error / bound, and the
            first wrong call.
        InputError: f returns no array and no number, or ``gradient`` is True and f has no gradient.

    >>> import numpy as np
    >>> print(check_agreement(lambda xp, x: xp.max(x), np.ones(3), backends=["numpy"]).verdicts[0])
    numpy, result: error / bound = 0
    """
    oracle = Oracle(f, arrays, runs, seed)
    agreement = Agreement(getattr(f, "__qualname__", repr(f)))
    gradients = Gradient(oracle) if gradient else None
    for name in backends:
        try:
            backend = find_backend(name)
        except BackendUnavailable as error:
            agreement.skipped[str(name)] = str(error)
            continue
        gradient_verdicts = gradients.judge(backend) if gradients else []
        if gradient_verdicts is None:
            agreement.skipped[f"the gradient on {backend.name}"] = "it has no autograd, expected torch or jax"
        for derivative, verdicts in enumerate((oracle.judge(backend), gradient_verdicts or [])):
            if broken := [verdict for verdict in verdicts if not verdict.agrees]:
                first = describe_first_error(oracle, backend, bool(derivative))
                broken[0].note += f"{broken[0].note and '; '}{first}"
            agreement.verdicts += verdicts
    if not all(verdict.agrees for verdict in agreement.verdicts):
        raise Disagreement(agreement)
    return agreement
