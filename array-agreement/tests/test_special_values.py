"""Every elementwise function of the standard at all pairs of special values."""

from __future__ import annotations

import inspect

import array_api_strict
import mpmath
import numpy as np
import pytest
from array_api_strict import _elementwise_functions as standard

from array_agreement.bounds import distance, equal_or_nan
from array_agreement.oracle import Oracle
from array_agreement.targets import find_target, to_numpy


def n_arrays(name):
    parameters = inspect.signature(getattr(standard, name)).parameters.values()
    return sum(x.default is x.empty for x in parameters)


CASES = [
    pytest.param(char, name, marks=[pytest.mark.slow] * (char in "FD" and n_arrays(name) == 2))
    for char in "fdFD"
    for name, f in vars(standard).items()
    if getattr(array_api_strict, name, None) is f and callable(f) and not isinstance(f, type)
]
CORRECT = {
    "divide": lambda x, y: x / y,
    "log1p": lambda x: mpmath.log(1 + x),
    "pow": lambda x, y: x**y,
    "sign": mpmath.sign,
}
"""The complex functions in which NumPy errs."""


def is_wrong(value, name, args):
    """Return whether mpmath has another result, rounded to the dtype; its numbers are finite."""
    limits = np.finfo(value.dtype)
    if name not in CORRECT or not np.all(np.isfinite(args)):
        return False
    with mpmath.workprec(2400):  # for the phase of a power with an exponent of 2^1024
        exact = CORRECT[name](*(mpmath.mpc(complex(x)) for x in args))
        allowed = 8 * float(limits.eps) * abs(exact) + float(limits.smallest_normal)
        parts = [(value.real, exact.real), (value.imag, exact.imag)]
        overflow = [(x, mpmath.sign(y) * mpmath.inf if abs(y) > float(limits.max) else y) for x, y in parts]
        return not all(x == y or abs(mpmath.mpf(float(x)) - y) <= allowed for x, y in overflow)


@np.errstate(all="ignore")
@pytest.mark.parametrize(("char", "name"), CASES)
def test_mpmath_confirms_each_alarm(char, name):
    info = np.finfo(char)
    tiny = [info.smallest_normal, info.smallest_subnormal]
    x = np.asarray([0.0, -0.0, 1, -1, *tiny, info.max, np.inf, -np.inf, np.nan], info.dtype)
    if char in "FD":
        x = np.stack(np.meshgrid(x, x), axis=-1).view(char).ravel()
    args = [y.ravel() for y in np.meshgrid(*[x] * n_arrays(name))]
    oracle = Oracle(lambda xp, *arrays: getattr(xp, name)(*arrays), args)
    for backend in map(find_target, ("numpy", "strict")):
        (verdict,) = oracle.judge(backend)
        if verdict.output == "call":  # not for this dtype
            continue
        assert verdict.note or not verdict.unjudged
        bound = oracle.bounds("float64")["result"]
        value = to_numpy(oracle.run(backend.xp, backend.to_array)["result"])
        judged = ~np.isnan(bound.bound) & ~equal_or_nan(value, bound.exact)
        alarms = np.flatnonzero(judged & ~(distance(value, bound.exact) <= bound.bound))
        assert bool(alarms.size) == (verdict.ratio > 1)
        assert all(is_wrong(value[i], name, [y[i] for y in args]) for i in alarms)
