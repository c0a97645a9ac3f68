"""The programs in README.md run. They get their own process, because they set SCIPY_ARRAY_API."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_programs_of_the_readme_run():
    programs = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert programs
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(programs)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
