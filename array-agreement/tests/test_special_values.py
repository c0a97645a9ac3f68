"""Every elementwise function of the standard at all pairs of special values: no alarm that mpmath refutes."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from array_agreement.bounds import distance, equal_or_nan
from array_agreement.oracle import Oracle
from array_agreement.targets import find_target, to_numpy

REAL = """abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor isfinite isinf isnan log log1p log2
log10 negative positive reciprocal round sign signbit sin sinh square sqrt tan tanh trunc""".split()
REAL_PAIRS = """add atan2 copysign divide equal floor_divide greater hypot less logaddexp maximum minimum
multiply nextafter not_equal pow remainder subtract""".split()
COMPLEX = [*(set(REAL) - {"ceil", "floor", "signbit", "trunc"}), "conj", "imag", "real"]
COMPLEX_PAIRS = "add divide equal multiply not_equal pow subtract".split()
CASES = [
    *((char, name, False) for char in "fd" for name in REAL),
    *((char, name, True) for char in "fd" for name in REAL_PAIRS),
    *((char, name, False) for char in "FD" for name in COMPLEX),
    *(pytest.param(char, name, True, marks=pytest.mark.slow) for char in "FD" for name in COMPLEX_PAIRS),
]
CORRECT = {
    "divide": lambda x, y: x / y,
    "log1p": lambda x: mpmath.log(1 + x),
    "pow": lambda x, y: x**y,
    "sign": mpmath.sign,
}
"""The complex functions with alarms."""


def special_values(char):
    info = np.finfo(char)
    tiny = [info.smallest_normal, info.smallest_subnormal]
    x = np.asarray([0.0, -0.0, 1, -1, *tiny, info.max, np.inf, -np.inf, np.nan], info.dtype)
    z = np.empty((x.size, x.size), char)
    if z.dtype.kind == "f":
        return x
    z.real = x[:, None]
    z.imag = x
    return z.ravel()


def is_wrong(value, name, args):
    """Return whether mpmath has another result, rounded to the dtype; its numbers are finite."""
    limits = np.finfo(value.dtype)
    if name not in CORRECT or not np.all(np.isfinite(args)):
        return False
    with mpmath.workprec(2400):  # for the phase of a power with an exponent of 2^1024
        exact = CORRECT[name](*(mpmath.mpc(complex(x)) for x in args))
        allowed = 8 * float(limits.eps) * abs(exact) + float(limits.smallest_normal)
        for found, part in ((value.real, exact.real), (value.imag, exact.imag)):
            overflows = abs(part) > float(limits.max)
            rounded = mpmath.sign(part) * mpmath.inf if overflows else part
            if found != rounded and not abs(mpmath.mpf(float(found)) - rounded) <= allowed:
                return True
    return False


@np.errstate(all="ignore")
@pytest.mark.parametrize(("char", "name", "has_pairs"), CASES)
def test_no_alarm_at_special_values_that_mpmath_does_not_confirm(char, name, has_pairs):
    x = special_values(char)
    args = [y.ravel() for y in np.meshgrid(x, x)] if has_pairs else [x]
    oracle = Oracle(lambda xp, *arrays: getattr(xp, name)(*arrays), args)
    for backend in map(find_target, ("numpy", "strict")):
        (verdict,) = oracle.judge(backend)
        assert verdict.note or not verdict.unjudged
        if verdict.ratio <= 1:
            continue
        bound = oracle.bounds("float64")["result"]
        value = to_numpy(oracle.run(backend.xp, backend.to_array)["result"])
        judged = ~np.isnan(bound.bound) & ~equal_or_nan(value, bound.exact)
        alarms = np.flatnonzero(judged & ~(distance(value, bound.exact) <= bound.bound))
        assert alarms.size
        refuted = [i for i in alarms if not is_wrong(value[i], name, [y[i] for y in args])]
        assert not refuted, [(*(y[i] for y in args), value[i], bound.exact[i]) for i in refuted[:3]]
