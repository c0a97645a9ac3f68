"""Third-party functions on numpy, torch and strict, and on other backends with --agree-backends.

pytest does not collect this file by its name; test_outside.py runs it with a few seeds. The full check:

    SCIPY_ARRAY_API=1 python -m pytest array-agreement/tests/outside_code.py \
        --agree-seeds 1000 --agree-report outside.json
"""

import os

import numpy as np
import pytest
from outside import CASES, CORE, DISAGREEMENTS

from array_agreement import Disagreement, check_agreement

pytestmark = pytest.mark.filterwarnings("ignore")


IS_CORE = os.environ.get("OUTSIDE_CASES") == "core"
DTYPES = [(case, dtype) for case in (CORE if IS_CORE else CASES) for dtype in case.dtypes]
DTYPES = [(case, dtype) for case, dtype in DTYPES if dtype == "float32" or not IS_CORE]


@pytest.mark.parametrize(("case", "dtype"), DTYPES, ids=lambda x: getattr(x, "name", x))
def test_backends_agree(case, dtype, agree):
    agree(case, *case.draw(agree.rng), dtype=dtype)


@pytest.mark.parametrize("name", DISAGREEMENTS)
def test_finds_known_disagreements(name):
    case = DISAGREEMENTS[name]
    dtype = "float64" if name.endswith("float64") else "float32"
    with pytest.raises(Disagreement):
        check_agreement(case, *case.draw(np.random.default_rng(0)), dtype=dtype)
