"""How many of the problems L-BFGS solves, here and in SciPy, and for how many evaluations.

    python tests/lbfgs_problems/table.py --backend torch     all 96; in float64, memory 10, 2,500 evaluations

Solved is a problem of Moré, Garbow and Hillstrom where f at the stop is within 1e-6 of a known minimum, or
within 1e-10 where that is smaller; one of NIST's where each parameter has the first four certified digits.
Evaluations count until the first point that would do.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

sys.path.insert(0, str(Path(__file__).parents[1]))

from backends import Backend, get_backend
from dnn.lbfgs import LBFGS, State, minimise
from lbfgs_problems import more_garbow_hillstrom, nist_strd
from lbfgs_problems.problem import Problem

PROBLEMS = {**more_garbow_hillstrom.PROBLEMS, **nist_strd.PROBLEMS}
MOST, GRADIENT = 2500, 1e-10
SETTINGS = LBFGS(10, MOST, MOST, gradient_tolerance=GRADIENT, decrease_tolerance=0.0)


def solved(problem: Problem, x: np.ndarray, value: float) -> bool:
    if problem.solution is None:
        return any(abs(value - known) <= max(1e-10, 1e-6 * known) for known in problem.minima)
    certified = np.asarray(problem.solution)
    return bool(np.isfinite(value) and np.all(np.abs(x - certified) <= 1e-4 * np.abs(certified)))


@dataclass(eq=False)
class Watched:
    """A problem that counts its calls, until the first that solves it and in all."""

    problem: Problem
    calls: int = 0
    first: int | None = field(default=None, init=False)

    def __call__(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = self.problem(x)
        self.calls += 1
        if self.first is None and solved(self.problem, x, value):
            self.first = self.calls
        return value, gradient


def ours(problem: Problem, backend: Backend, settings: LBFGS = SETTINGS) -> tuple[Watched, State, bool]:
    """The count, the state at the stop, and whether that solves the problem."""
    watched = Watched(problem)

    def function(point):
        value, gradient = watched(np.array(backend.to_host(point)))
        return value, backend.from_host(gradient)

    start = backend.from_host(np.asarray(problem.start, dtype=backend.dtype_name))
    state = minimise(function, start, backend=backend, settings=settings)
    assert state.evaluations == watched.calls <= settings.max_evaluations
    return watched, state, solved(problem, backend.to_host(state.point), state.value)


def scipys(problem: Problem) -> tuple[Watched, bool]:
    """The same of SciPy's L-BFGS-B."""
    watched = Watched(problem)
    limits = {"maxcor": 10, "maxfun": MOST, "maxiter": MOST, "ftol": 0.0, "gtol": GRADIENT}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        start = np.asarray(problem.start)
        found = minimize(lambda x: watched(x.copy()), start, jac=True, method="L-BFGS-B", options=limits)
    return watched, solved(problem, found.x, found.fun)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--quiet", action="store_true", help="the totals only")
    options = parser.parse_args()
    backend = get_backend(options.backend, dtype="float64")
    ratios, totals = [], {"ours": [0, 0], "SciPy's": [0, 0]}
    for name, problem in PROBLEMS.items():
        watched, state, here = ours(problem, backend)
        theirs, there = scipys(problem)
        kind = int(problem.solution is not None)
        totals["ours"][kind] += here
        totals["SciPy's"][kind] += there
        if here and there:
            ratios.append(watched.first / theirs.first)
        if not options.quiet:
            marks = (f"{w.first or '-':>6} of {w.calls:>5}" for w in (watched, theirs))
            print(f"{name:26}", *marks, f" {state.value:.9g} {state.reason}", sep="  ")
    for who, (first, second) in totals.items():
        print(f"{who:8} {first} of 42 and {second} of 54")
    print(f"evaluations, ours / SciPy's, geometric mean: {np.exp(np.mean(np.log(ratios))):.3f}")


if __name__ == "__main__":
    main()
