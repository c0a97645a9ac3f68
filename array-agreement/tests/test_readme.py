"""The programs in README.md and docs/ run. They get their own process, because they set SCIPY_ARRAY_API."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


PAGES = [["README.md", "docs/usage.md"], ["docs/pytest.md", "docs/sweep.md"]]


@pytest.mark.slow
@pytest.mark.parametrize("pages", PAGES, ids=len)
def test_programs_of_the_pages_run(pages):
    text = "\n".join((ROOT / page).read_text() for page in pages)
    programs = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    assert programs
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCIPY_ARRAY_API": "1"}
    prelude = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([prelude, *programs])],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
