"""L-BFGS on the standard problems, for several test files."""

import numpy as np
from lbfgs_problems import PROBLEMS

from backends import get_backend
from dnn.lbfgs import LBFGS, minimise

TIGHT = LBFGS(max_iterations=1000, max_evaluations=20_000, gradient_tolerance=1e-9, decrease_tolerance=1e-15)


def on(backend, problem):
    """Return the problem as a function on the backend, its start, and the list of its values."""
    values = []

    def function(point):
        value, gradient = problem(np.array(backend.to_host(point)))
        values.append(value)
        return value, backend.from_host(gradient)

    start = backend.from_host(np.asarray(problem.start, dtype=backend.dtype_name))
    return function, start, values


def run(problem, dtype="float64", settings=None, **changes):
    """Return (final state, values of all evaluations) of a problem by name, on NumPy."""
    backend = get_backend("numpy", dtype=dtype)
    function, start, values = on(backend, PROBLEMS[problem])
    state = minimise(function, start, backend=backend, settings=settings or LBFGS(**changes))
    return state, values
