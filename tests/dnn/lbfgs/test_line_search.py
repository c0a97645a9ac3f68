"""The line search alone, on functions of one number, with the strong Wolfe conditions checked afterwards."""

from math import cos, exp, inf, isfinite, isnan, log, nan, pi, sin, sqrt

import pytest

from dnn.lbfgs.line_search import LineSearch, Trial, cubic_minimiser


def more_thuente_1(a, b=2.0):
    return -a / (a * a + b), (a * a - b) / (a * a + b) ** 2


def more_thuente_2(a, b=0.004):
    return (a + b) ** 5 - 2 * (a + b) ** 4, 5 * (a + b) ** 4 - 8 * (a + b) ** 3


def more_thuente_3(a, b=0.01, n=39):
    if a <= 1 - b:
        value, slope = 1 - a, -1.0
    elif a >= 1 + b:
        value, slope = a - 1, 1.0
    else:
        value, slope = (a - 1) ** 2 / (2 * b) + b / 2, (a - 1) / b
    ripple = 2 * (1 - b) / (n * pi)
    return value + ripple * sin(n * pi / 2 * a), slope + (1 - b) * cos(n * pi / 2 * a)


def yanai(b1, b2):
    def gamma(b):
        return sqrt(1 + b * b) - b

    def f(a):
        one, two = sqrt((1 - a) ** 2 + b2 * b2), sqrt(a * a + b1 * b1)
        value = gamma(b1) * one + gamma(b2) * two
        return value, gamma(b1) * (a - 1) / one + gamma(b2) * a / two

    return f


# Functions, c1 and c2 of the tables in Moré and Thuente, "Line search algorithms with guaranteed
# sufficient decrease", ACM TOMS 20 (1994).
FUNCTIONS = {
    "1": (more_thuente_1, 1e-3, 0.1),
    "2": (more_thuente_2, 0.1, 0.1),
    "3": (more_thuente_3, 0.1, 0.1),
    "4": (yanai(0.001, 0.001), 1e-3, 1e-3),
    "5": (yanai(0.01, 0.001), 1e-3, 1e-3),
    "6": (yanai(0.001, 0.01), 1e-3, 1e-3),
    "sine": (lambda a: (-sin(a), -cos(a)), 1e-4, 0.9),
    "quartic": (lambda a: ((a - 3) ** 4, 4 * (a - 3) ** 3), 1e-4, 0.1),
    "wall": (lambda a: (exp(a) - 3 * a, exp(a) - 3) if a < 4 else (inf, inf), 1e-4, 0.1),
    "barrier": (
        lambda a: (-a - 0.1 * log(3 - a), -1 + 0.1 / (3 - a)) if a < 3 else (inf, nan),
        1e-4,
        0.5,
    ),
    "edge": (lambda a: (a * a - 4 * a, 2 * a - 4) if a < 3 else (nan, nan), 1e-4, 0.1),
}


def search(function, step, c1=1e-4, c2=0.9, evaluations=50, rounding=0.0):
    calls = []

    def along(a):
        calls.append(a)
        return Trial(a, *function(a))

    line = LineSearch(along, Trial(0.0, *function(0.0)), evaluations, rounding, c1, c2)
    found = line.run(step)
    assert line.trials_left == evaluations - len(calls)
    assert found is None or found.step in calls
    return found, calls


@pytest.mark.parametrize("step", [1e-3, 1e-1, 1e1, 1e3])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_strong_wolfe_conditions_hold(name, step):
    function, c1, c2 = FUNCTIONS[name]
    value, slope = function(0.0)
    found, calls = search(function, step, c1, c2)
    assert found.value <= value + c1 * found.step * slope
    assert abs(found.slope) <= c2 * abs(slope)
    assert (found.value, found.slope) == function(found.step)
    assert len(calls) <= 25  # the default
    finite = [isfinite(function(a)[0]) for a in calls]
    for i in range(len(calls)):  # no trial beyond a step with a non-finite value
        assert finite[i] or max(calls[i + 1 :]) < calls[i]


def test_accepts_a_good_first_step():
    found, calls = search(lambda a: ((a - 1) ** 2, 2 * (a - 1)), 1.0)
    assert calls == [1.0]
    assert found.step == 1.0


def finite_where(fits, middle=1.0):
    return lambda a: ((a - middle) ** 2, 2 * (a - middle)) if fits(a) else (nan, nan)


@pytest.mark.parametrize(
    ("function", "options", "expected"),
    [
        (finite_where(lambda a: True), {}, [0.3, 1.0]),  # the cubic's minimum
        (finite_where(lambda a: True), {}, [0.1, 0.5, 1.0]),  # at most 4 steps farther
        (finite_where(lambda a: True), {}, [0.95, 1.995, 1.0545, 1.0]),  # at least 1.1; a tenth off the end
        (finite_where(lambda a: True), {"c1": 0.49}, [1.05, 0.945, 1.0]),  # and a tenth off the other end
        (finite_where(lambda a: a < 1, 3.0), {}, [1.2, 0.12, 0.6, 0.9, 1.05, 0.915]),  # halfway to a wall
        (finite_where(lambda a: not 0.8 < a < 1.5), {}, [2.0, 1.0, 0.5, 0.75, 0.875]),  # the middle
    ],
)  # fmt: skip
def test_steps_match_the_algorithms(function, options, expected):
    _, calls = search(function, expected[0], c2=0.01, evaluations=len(expected), **options)
    assert calls == pytest.approx(expected, rel=1e-12)


def test_returns_none_without_trials():
    up = search(lambda a: (a, -1.0), 1.0, evaluations=7)  # a wrong slope
    assert up[0] is None
    assert len(up[1]) == 7
    downhill, calls = search(lambda a: (-a, -1.0), 1.0, evaluations=4)  # no minimum
    assert (downhill.step, calls) == (85.0, [1.0, 5.0, 21.0, 85.0])  # by four times the last step


def test_returns_none_if_no_value_is_finite():
    found, calls = search(lambda a: (0.0, -1.0) if a == 0 else (nan, 1.0), 1.0, evaluations=6)
    assert found is None
    assert calls == pytest.approx([10.0**-i for i in range(6)])
    found, _ = search(lambda a: (0.0, -1.0) if a == 0 else (-inf, -1.0), 1.0, evaluations=6)
    assert found is None


def test_slopes_decide_within_rounding():
    """A function so large that rounding hides its decrease: every value is one ULP above the first."""

    def flat(a):
        return 1e16 + (2 if a > 0 else 0), 2 * (a - 1)

    assert search(flat, 1.9, evaluations=8)[0] is None
    found, _ = search(flat, 1.9, c2=0.1, evaluations=8, rounding=4.0)
    assert abs(found.step - 1) <= 0.1
    assert search(flat, 1.0, c2=0.1, rounding=4.0)[1] == [1.0]


@pytest.mark.parametrize(("slope", "searched"), [(0.9e-4, False), (1.1e-4, True)])
def test_ends_in_intervals_that_predict_less_than_rounding(slope, searched):
    _, calls = search(lambda a: (9.0, 1.0) if a > 0 else (0.0, -slope), 1.0, rounding=1.0)
    assert (len(calls) > 1) == searched


def test_cubic_minimiser():
    def cubic(a):
        return Trial(a, a**3 - 3 * a, 3 * a * a - 3)

    for a, b in ((0.0, 3.0), (3.0, 0.0), (-0.5, 0.5), (2.0, 5.0)):
        assert cubic_minimiser(cubic(a), cubic(b)) == pytest.approx(1.0)
    assert isnan(cubic_minimiser(Trial(0, 0.0, 1.0), Trial(1, 1.0, 1.0)))
    assert isnan(cubic_minimiser(Trial(0, 0.0, -1.0), Trial(1, inf, 1.0)))
    assert isnan(cubic_minimiser(cubic(1.0), cubic(1.0)))
