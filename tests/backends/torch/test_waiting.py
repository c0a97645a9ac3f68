"""Waiting OpenMP threads of torch spin for a short time, or as long as the user chose."""

import os
import re

import pytest
from command_lines import run_code

from backends.torch import SPIN_COUNT, WAIT_VARIABLES

USE_THE_BACKEND = """
import os
before = dict(os.environ)
from backends import get_backend
get_backend("torch")
assert dict(os.environ) == before
"""


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ({}, SPIN_COUNT),
        ({"GOMP_SPINCOUNT": "77"}, "77"),
        pytest.param({"OMP_WAIT_POLICY": "passive"}, "0", marks=pytest.mark.slow),
    ],
)
def test_gnu_openmp_reads_the_spin_count_when_the_backend_imports_torch(setting, expected):
    environment = {name: value for name, value in os.environ.items() if name not in WAIT_VARIABLES}
    environment |= {**setting, "OMP_DISPLAY_ENV": "VERBOSE"}
    run = run_code(USE_THE_BACKEND, env=environment)
    counts = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", run.stderr)
    if not counts:
        pytest.skip("this torch was not built with GNU OpenMP")
    assert set(counts) == {expected}
