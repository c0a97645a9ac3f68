"""Outside code on numpy, torch and strict (and jax, with --agree-backends). No part of the suite by its name:
test_outside.py runs the quick form. The whole one:

    SCIPY_ARRAY_API=1 python -m pytest -p backends.testing.plugin tests/backends/testing/outside_code.py \
        --agree-seeds 1000 --agree-report whole.json
"""

from __future__ import annotations

import numpy as np
import pytest
from outside import CASES, DISAGREE

from backends.testing import Disagreement, check_agreement

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_backends_agree(case, agree):
    agree(case, *case.draw(agree.rng))


@pytest.mark.parametrize("what", DISAGREE)
def test_what_disagrees_is_found(what):
    case = DISAGREE[what]
    with pytest.raises(Disagreement):
        check_agreement(case, *case.draw(np.random.default_rng(0)))
