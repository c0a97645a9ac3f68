"""The pytest plugin, in processes of its own."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

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
HYPOTHESIS = """
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis.extra.array_api import make_strategies_namespace
from hypothesis.extra.numpy import array_shapes, arrays

settings.register_profile("agree", max_examples=5, deadline=None, derandomize=True,
                          suppress_health_check=[HealthCheck.function_scoped_fixture])
settings.load_profile("agree")
elements = {"min_value": -50, "max_value": 50}

@given(x=arrays(np.float32, array_shapes(max_dims=3, max_side=4), elements=elements))
def test_softmax(agree, x):
    agree(lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)), x)

@pytest.mark.agree(backends=["torch"])
@given(x=make_strategies_namespace(np).arrays(np.float32, (3,), elements=elements))
def test_wrong(agree, x):
    agree(lambda xp, x: xp.where(x > 10, x * (1 + ("torch" in xp.__name__)), x), x)
"""
GRADIENT = """
import numpy as np

def test_right(agree):
    agree(lambda xp, x: xp.exp(x) / xp.sum(xp.exp(x)), agree.rng.normal(size=5), gradient=True)

def test_cut_off(agree):
    agree(lambda xp, x: x * getattr(x, "detach", lambda: x)(), np.arange(1.0, 4.0), gradient=True)
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
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert "no picture" not in said


def test_a_disagreement_fails_with_all_verdicts(tmp_path):
    code, said = run(tmp_path, WRONG, "--agree-backends", "torch,numpy")
    assert code == 1
    assert "torch, result: error / bound = inf" not in said
    assert "torch, result: error / bound = " in said
    assert "numpy, result: error / bound = 0" in said


def test_gradients(tmp_path):
    code, said = run(tmp_path, GRADIENT)
    assert code == 1
    assert "1 failed, 1 passed" in said
    assert "torch, gradient: error / bound = " in said
    assert "agree: the gradient on numpy was not compared: it has no autograd" in said


@pytest.mark.slow
def test_hypothesis_draws_the_arrays(tmp_path):
    """It shrinks what disagrees."""
    code, said = run(tmp_path, HYPOTHESIS, "--agree-report=out.json", "-p", "hypothesis")
    assert code == 1
    assert "1 failed, 1 passed" in said
    assert re.search(r"x=array\(\[[ 0.,]*11\.", said)
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert len([test for test in tests if "softmax" in test["test"]]) == 5


@pytest.mark.slow
def test_without_matplotlib_there_is_no_picture(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError('not here')")
    code, said = run(tmp_path, WRONG.replace('("torch" in xp.__name__)', "0"), "--agree-report=out.json")
    assert code == 0
    assert "agree: no picture of the report: not here; pip install matplotlib" in said
    assert (tmp_path / "out.json").exists()
    assert not (tmp_path / "out.png").exists()


def test_it_needs_only_numpy_array_api_compat_and_pytest(tmp_path):
    """Everything else that is installed is refused."""
    (tmp_path / "only.py").write_text(
        """
import sys

ALLOWED = {"numpy", "array_api_compat", "pytest", "backends", "only", "test_it", "conftest"}
PYTEST = {"_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py"}  # what pytest itself needs

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED | PYTEST | set(sys.stdlib_module_names):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Only())
"""
    )
    code, said = run(
        tmp_path, WRONG, "-p", "only", "--agree-seeds=2", "--agree-mutants", "--agree-report=out.json"
    )
    assert code == 0, said
    assert "2 passed" in said
    assert "agree: torch was not compared: torch is not installed; pip install torch" in said
    assert "agree: no picture of the report" in said


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
