"""Test the wheel of array-agreement without torch, in a project with folders that have our names.

Usage: check_agreement_wheel.py ENVIRONMENT, a folder that is made anew.
"""

import shutil
import subprocess
import sys
import tempfile
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


def run(*command: object, **settings: object) -> str:
    result = subprocess.run([*map(str, command)], text=True, stdout=subprocess.PIPE, **settings)
    if result.returncode:
        raise SystemExit(f"{command[0]} failed: {result.stdout}")
    return result.stdout


def main(environment: str) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    run(sys.executable, "-m", "venv", environment)
    python = Path(environment, "bin", "python").absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run(python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, PROJECT)
        (wheel,) = folder.glob("*.whl")
        assert wheel.stat().st_size < MAX_BYTES, f"the wheel has {wheel.stat().st_size} bytes"
        run(python, "-m", "pip", "install", "--quiet", wheel, "pytest", "array-api-strict")
        for package in ("backends", "dnn", "tests"):
            (folder / package).mkdir()
            (folder / package / "__init__.py").write_text("OWN = True\n")
        (folder / "tests" / "test_agreement.py").write_text(TEST)
        print(run(python, "-m", "pytest", "-q", "--agree-seeds=2", "--agree-report=out.json", cwd=folder))
        seconds = min(float(run(python, "-c", IMPORT_TIME, cwd=folder)) for _ in range(3))
        assert seconds < MAX_IMPORT_SECONDS, f"import array_agreement takes {seconds:.2f} s"
        print(f"array-agreement: wheel of {wheel.stat().st_size} bytes, import {seconds:.3f} s")


if __name__ == "__main__":
    main(sys.argv[1])
