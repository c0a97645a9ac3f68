"""``check_agreement`` compares backends on a function. It derives the error bounds from the function."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from array_agreement.bounds import Verdict
from array_agreement.first_error import describe_first_error
from array_agreement.gradient import Gradient
from array_agreement.oracle import Oracle
from array_agreement.targets import TargetUnavailable, find_target

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
        backends: names ("numpy", "torch:cuda", "jax", any array namespace that can be imported) or Targets.
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
            backend = find_target(name)
        except TargetUnavailable as error:
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
