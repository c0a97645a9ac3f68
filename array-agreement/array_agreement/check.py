"""``check_agreement`` compares backends on a function. It derives the error bounds from the function."""

from collections.abc import Mapping
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import numpy as np

from array_agreement.blame import explain
from array_agreement.bounds import Verdict
from array_agreement.gradient import Gradient
from array_agreement.oracle import Oracle
from array_agreement.targets import (
    Function,
    InputError,
    TargetUnavailable,
    expand_targets,
    find_reason,
    find_target,
    require_reasons,
    target_name,
)

DEFAULT_BACKENDS = ("numpy", "torch", "strict")
NO_REASONS: Mapping[str, str] = {}
MAX_UNJUDGED = 0.1
"""Largest share of elements that rounding may decide, unless a test allows more."""


class Disagreement(AssertionError):
    """Raised if a backend breaks its bound. ``args[0]`` is the Agreement with all verdicts."""


class NothingCompared(InputError):
    """Raised if no backend could be compared. ``args[0]`` is the Agreement with the reasons."""


@dataclass
class Agreement:
    """The result of ``check_agreement``.

    Args:
        function: qualified name of the function
        verdicts: one for each output of each backend
        skipped: backend -> reason why it was not compared
    """

    function: str
    verdicts: list[Verdict]
    skipped: dict[str, str]

    @property
    def holds(self) -> bool:
        """Whether all backends agree, or disagree as expected."""
        return all(verdict.kind in ("agrees", "xfail") for verdict in self.verdicts)

    @property
    def xfails(self) -> dict[str, str]:
        """Backend -> reason, for backends that disagree as expected."""
        return {v.backend: v.xfail for v in self.verdicts if v.kind == "xfail"}

    def tolerances(self) -> dict[tuple[str, str], tuple[float, float]]:
        """Return the smallest (rtol, atol) that the bound of each (output, dtype) amounts to."""
        found = {(v.output, v.dtype): (v.rtol, v.atol) for v in self.verdicts if v.rtol or v.atol}
        return dict(sorted(found.items()))

    def __str__(self) -> str:
        pasted = (f"{o}, {d}: rtol={r:g}, atol={a:g} cover the bound"
                  for (o, d), (r, a) in self.tolerances().items())  # fmt: skip
        skipped = (f"{name} skipped: {why}" for name, why in self.skipped.items())
        nothing = [] if self.verdicts else ["nothing was compared, expected a backend that can run here"]
        return "\n".join([self.function, *map(str, self.verdicts), *pasted, *skipped, *nothing])


def check_agreement(
    f: Function,
    *arrays: Any,
    backends: Any = DEFAULT_BACKENDS,
    runs: int = 16,
    seed: int = 0,
    gradient: bool = False,
    kwargs: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    max_unjudged: float | Mapping[str, float] = MAX_UNJUDGED,
    allow_vacuous: bool = False,
    skip: Mapping[str, str] = NO_REASONS,
    xfail: Mapping[str, str] = NO_REASONS,
) -> Agreement:
    """Compare f on several backends with f in a wider dtype on NumPy.

    The bound of each output is derived from the effect of rounding errors on f.

    Args:
        f: ``f(xp, *arrays, **kwargs)`` or ``f(*arrays, **kwargs)``. It returns arrays or numbers, also in
            tuples, dicts or result objects.
        arrays: arguments of f. Each backend gets arrays of any library as its own, also in lists and dicts.
            If there are none, numbers and lists become arrays.
        backends: names ("numpy", "torch:cuda", "jax:jit", "strict:all", any importable array namespace),
            namespaces, tuples (name or namespace, device), or Targets.
        runs: number of perturbed runs that the bounds are derived from.
        seed: seed of the perturbations.
        gradient: on torch and JAX, also compare the gradient of f's outputs, in float32.
        kwargs: keyword arguments of f, converted like ``arrays``.
        dtype: "float32" or "float64" converts all floating-point arrays first; None keeps their dtypes.
        max_unjudged: largest share of an output's elements that rounding may decide, and that are not judged;
            or a dict from names of outputs to their shares.
        allow_vacuous: accept outputs that no call of the backend's namespace produced.
        skip: "library" or "library:device" -> reason not to compare it.
        xfail: likewise, of targets that may disagree; the verdicts show the reason.

    Raises:
        Disagreement: an output breaks its bound, is vacuous, or has too few elements that were judged.
        NothingCompared: all backends were skipped.
        InputError: a backend has an unknown name, an argument is float16 or long double, f returns no array
            and no number, ``max_unjudged`` is no share or names no output, ``skip`` or ``xfail`` names no
            library, or f has no gradient although it was asked for.

    >>> import numpy as np
    >>> print(check_agreement(lambda xp, x: xp.max(x), np.ones(3), backends=["numpy"]).verdicts[0])
    numpy, result: error / bound = 0, 100% judged
    """
    __tracebackhide__ = True
    context = copy_context()  # has np.geterr(): an interrupt at any moment leaves that of the caller as it is
    oracle = context.run(Oracle, f, arrays, runs, seed, kwargs, dtype)
    agreement = Agreement(getattr(f, "__qualname__", repr(f)), [], {})
    # Finite differences are too inexact for float64.
    gradients = Gradient(context.run(Oracle, f, arrays, runs, seed, kwargs, "float32")) if gradient else None
    targets = list(expand_targets(backends))
    require_reasons({**skip, **xfail}, targets)
    for target in targets:
        context.run(_judge_target, agreement, target, oracle, gradients, skip)
    if not agreement.verdicts:
        raise NothingCompared(agreement)
    if not any(v.backend == "numpy" for v in agreement.verdicts):
        agreement.verdicts += context.run(_check_numpy, oracle)
    outputs = {verdict.output for verdict in agreement.verdicts}
    shares = max_unjudged if isinstance(max_unjudged, Mapping) else dict.fromkeys(outputs, max_unjudged)
    if unknown := shares.keys() - outputs - {"gradient"}:
        raise InputError(f"max_unjudged names {sorted(unknown)}, expected outputs among {sorted(outputs)}")
    if not all(0 <= share <= 1 for share in shares.values()):
        raise InputError(f"max_unjudged is {max_unjudged}, expected shares from 0 to 1, such as 0.1 for 10%")
    for verdict in agreement.verdicts:
        verdict.max_unjudged = shares.get(verdict.output, MAX_UNJUDGED)
        verdict.vacuous = verdict.vacuous and not allow_vacuous
        verdict.xfail = find_reason(xfail, verdict.backend) or ""
    if not agreement.holds:
        raise Disagreement(agreement)
    return agreement


@np.errstate(all="ignore")
def _judge_target(
    agreement: Agreement, target: Any, oracle: Oracle, gradients: Gradient | None, skip: Mapping[str, str]
) -> None:
    """Add the verdicts on a target to ``agreement``, or the reason why it is skipped."""
    name = target_name(target)
    try:
        if (reason := find_reason(skip, name)) is not None:
            raise TargetUnavailable(reason)
        backend = find_target(target, {x.dtype for x in oracle.arrays})
    except TargetUnavailable as error:
        agreement.skipped[name] = str(error)
        return
    verdicts = oracle.judge(backend)
    explain(oracle, backend, verdicts)
    agreement.verdicts += verdicts
    if gradients and (found := gradients.judge(backend)):
        explain(oracle, backend, found, derivative=True)
        agreement.verdicts += found
    elif gradients:
        agreement.skipped[f"the gradient on {backend.name}"] = "it has no autograd, expected torch or jax"


@np.errstate(all="ignore")
def _check_numpy(oracle: Oracle) -> list[Verdict]:
    """Return the verdicts of two answers if NumPy's own answer differs from the oracle's, also in float64."""
    numpy = find_target("numpy")
    verdicts = [
        v for v in oracle.judge(numpy, wide=True) if (v.element or v.output == "call") and not v.vacuous
    ]
    if verdicts:  # in float64, a function may rightly use another finfo
        wrong = {v.output for v in oracle.judge(numpy) if not v.ratio <= 1}
        verdicts = [v for v in verdicts if v.output in wrong]
    explain(oracle, numpy, verdicts)
    return verdicts
