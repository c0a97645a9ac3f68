"""L-BFGS on the standard test functions, for the tests of its way and of its states."""

import numpy as np
from lbfgs_problems.more_garbow_hillstrom import PROBLEMS

from backends import get_backend
from dnn.lbfgs import LBFGS, minimise

TIGHT = LBFGS(max_iterations=1000, max_evaluations=20_000, gradient_tolerance=1e-9, decrease_tolerance=1e-15)


def on(backend, problem):
    """The problem as a function of the backend's vectors, with a count of its calls."""
    calls = []

    def function(point):
        calls.append(None)
        value, gradient = problem(np.array(backend.to_host(point)))
        return value, backend.from_host(gradient)

    start = backend.from_host(np.asarray(problem.start, dtype=backend.dtype_name))
    return function, start, calls


def run(problem, dtype="float64", **settings):
    backend = get_backend("numpy", dtype=dtype)
    function, start, calls = on(backend, PROBLEMS[problem])
    state = minimise(function, start, backend=backend, settings=LBFGS(**settings))
    return state, calls
