"""Test the wheel of array-agreement without torch, in a project with folders that have our names.

Usage: check_agreement_wheel.py ENVIRONMENT, a folder that is made anew.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "array-agreement"
MAX_BYTES = 1_000_000
MAX_IMPORT_SECONDS = 0.3
TEST = """
import backends
import dnn
import numpy as np
import pytest

def test_agrees(agree):
    x = agree.rng.normal(size=20)
    agree(lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)), x, backends=["numpy", "strict"])

def test_own_packages():
    assert backends.OWN
    assert dnn.OWN
    with pytest.raises(ImportError):
        import torch
"""
IMPORT_TIME = """
import sys, time, numpy, array_api_compat
start = time.process_time()
import array_agreement
print(time.process_time() - start)
"""


def main(environment: str) -> None:
    venv.create(environment, clear=True, with_pip=True)
    python = Path(environment, "bin", "python").absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pip = [python, "-m", "pip", "--quiet"]
        subprocess.check_call([*pip, "wheel", "--no-deps", "--wheel-dir", folder, PROJECT])
        (wheel,) = folder.glob("*.whl")
        assert wheel.stat().st_size < MAX_BYTES, f"the wheel has {wheel.stat().st_size} bytes"
        subprocess.check_call([*pip, "install", wheel, "pytest", "array-api-strict"])
        for package in ("backends", "dnn", "tests"):
            (folder / package).mkdir()
            (folder / package / "__init__.py").write_text("OWN = True\n")
        (folder / "tests" / "test_agreement.py").write_text(TEST)
        options = ["-q", "--agree-seeds=2", "--agree-report=out.json"]
        subprocess.check_call([python, "-m", "pytest", *options], cwd=folder)
        measure = [python, "-c", IMPORT_TIME]
        seconds = min(float(subprocess.check_output(measure, cwd=folder)) for _ in range(3))
        assert seconds < MAX_IMPORT_SECONDS, f"import array_agreement takes {seconds:.2f} s"
        print(f"array-agreement: wheel of {wheel.stat().st_size} bytes, import {seconds:.3f} s")


if __name__ == "__main__":
    main(sys.argv[1])
