"""Third-party functions on numpy, torch and strict, and on other backends with --agree-backends.

pytest does not collect this file by its name; test_outside.py runs it with a few seeds. The full check:

    SCIPY_ARRAY_API=1 python -m pytest -p array_agreement.plugin array-agreement/tests/outside_code.py \
        --agree-seeds 1000 --agree-report outside.json
"""

from __future__ import annotations

import numpy as np
import pytest
from outside import CASES, DISAGREEMENTS

from array_agreement import Disagreement, check_agreement

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_backends_agree(case, agree):
    agree(case, *case.draw(agree.rng))


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_finds_known_disagreements(name):
    case = DISAGREEMENTS[name]
    with pytest.raises(Disagreement):
        check_agreement(case, *case.draw(np.random.default_rng(0)))
