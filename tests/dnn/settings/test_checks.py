"""The last valid value of each setting, and the first invalid one."""

from functools import partial
from math import inf, nan

import numpy as np
import pytest
from helpers import input_error

import dnn
from dnn.settings import checks

SECOND = np.timedelta64(1, "s")  # an np.integer
TINY = 5e-324
HUGE = float(np.finfo(np.float64).max)
BELOW_1 = float(np.nextafter(1.0, 0.0))
SHARE = partial(checks.require_number, low=0.0, high=1.0)
ANY = partial(checks.require_number, low=-inf)


@pytest.mark.parametrize(
    ("check", "kind", "taken", "refused"),
    [
        (
            checks.positive_integer,
            int,
            [1, np.int64(1), 2**63 - 1],
            [0, -1, True, 1.0, "3", None, 2**63, SECOND],
        ),
        (checks.natural_number, int, [0, np.int32(3), 2**63 - 1], [-1, True, 0.0, 2**63]),
        (checks.require_positive, float, [TINY, HUGE, 1], [0, -0.0, -TINY, True, inf, nan, 10**400]),
        (SHARE, float, [0, 0.0, BELOW_1], [1, 1.0, -TINY, True, nan, "0.5", None]),
        (ANY, float, [-HUGE, HUGE, -1], [inf, -inf, nan, 10**400, -(10**400)]),
        (checks.require_bool, bool, [True, False, np.bool_(True)], [0, 1, None, "True"]),
    ],
)
def test_the_bounds_of_settings(check, kind, taken, refused):
    for value in taken:
        found = check("n", value)
        assert found == value
        assert type(found) is kind
    for value in refused:
        with input_error(r"^n is "):
            check("n", value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: dnn.BatchNormalization(momentum=0.51),
        lambda: dnn.RandomRotation(0.99),
        lambda: dnn.CosineDecay(0.01, 100, 0.02),
        lambda: dnn.AdamW(0.1, 0.09),
    ],
)
def test_a_setting_with_another_meaning_is_announced(make, caplog):
    make()
    assert len(caplog.messages) == 1


def test_usual_settings_are_not_announced(caplog):
    for momentum in (0.0, 0.1, 0.5):
        dnn.BatchNormalization(momentum=momentum)
    for degrees in (0.0, 1.0, 10.0):
        dnn.RandomRotation(degrees)
    for beta1 in (0.0, 0.1, 0.5, 0.9):
        dnn.AdamW(0.1, beta1)
    for first, last in ((0.1, 0.1), (0.1, 0.0), (0.0, 0.1)):
        dnn.CosineDecay(first, 100, last)
    assert not caplog.messages
