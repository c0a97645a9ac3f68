"""The pytest plugin, in processes of its own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
TESTS = """
import numpy as np
import pytest

@pytest.mark.agree(backends=["numpy", "strict", "cupy:7"])
def test_softmax(agree):
    agree(lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)), agree.rng.normal(size=20))

@pytest.mark.agree(backends=["cupy:7"])
def test_nowhere(agree):
    agree(lambda xp, x: x, np.ones(3))

def blind(xp, x):
    return xp.max(x) * 3000 + xp.sum(x) * 0.3

@pytest.mark.agree(backends=["numpy"])
def test_blind(agree):
    agree(blind, np.linspace(1, 1.7, 9))
"""
WRONG = """
import numpy as np

def test_wrong(agree):
    agree(lambda xp, x: xp.sum(x) + ("torch" in xp.__name__), np.ones(3))
"""


def run(tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    (tmp_path / "test_it.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "backends.testing.plugin", *options]
    done = subprocess.run(
        [*command, "test_it.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_seeds_skips_report_and_mutants(tmp_path):
    options = ("--agree-seeds=3", "--agree-report=out.json", "--agree-mutants")
    code, said = run(tmp_path, TESTS, *options)
    assert code == 0, said
    assert "6 passed, 3 skipped" in said
    assert "agree: cupy:7 was not compared: " in said
    assert "cupy:7: " in said.split("SKIPPED")[1]
    assert "agree: not noticed: blind: sum, float16 accumulation" in said
    assert "not noticed: test_softmax" not in said
    report = json.loads((tmp_path / "out.json").read_text())
    assert len(report["tests"]) == 9
    assert report["tests"][0]["verdicts"][0]["backend"] == "numpy"


def test_a_disagreement_fails_with_all_verdicts(tmp_path):
    code, said = run(tmp_path, WRONG, "--agree-backends", "torch,numpy")
    assert code == 1
    assert "torch, result: error / bound = inf" not in said
    assert "torch, result: error / bound = " in said
    assert "numpy, result: error / bound = 0" in said


def test_loading_it_loads_no_library_but_numpy():
    code = (
        "import sys, backends.testing.plugin;"
        "print(sorted({'torch', 'scipy', 'cupy', 'jax', 'numba', 'matplotlib', 'dnn'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_pytest_finds_it_by_its_entry_point():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module = importlib.import_module(project["entry-points"]["pytest11"]["agree"])
    assert module.agree
