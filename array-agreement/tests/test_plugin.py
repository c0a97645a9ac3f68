"""The pytest plugin, run in its own process."""

import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
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
    agree(blind, np.linspace(1, 1.7, 9, dtype=np.float32))
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

FIXTURES = """
import array_api_strict
import numpy as np
import pytest
import torch

@pytest.fixture(params=[np, torch, array_api_strict], ids=lambda xp: xp.__name__)
def xp(request):
    return request.param

def test_fixture(xp, agree):
    total = agree.wrap(lambda x, k: k * sum(x), backends=[xp])
    assert total(xp.asarray([1.0, 2.0]), k=2) == 6

@pytest.mark.parametrize(("namespace", "device"), [("torch", "cpu"), ("array_api_strict", "device1")])
def test_wrong(namespace, device, agree):
    f = lambda xp, x: xp.sum(x) + int("torch" in xp.__name__)
    agree(f, agree.rng.normal(size=9), backends=[(namespace, device)], xfail={"torch:cpu": "bug 7"})

@pytest.mark.agree(backends=["numpy", "torch", "strict:device2"], xfail={"torch": "known"})
@pytest.mark.agree(backends=["cupy"], skip={"strict:device2": "marked"})
def test_mixed(agree):
    agree(lambda xp, x: xp.sum(x) + ("torch" in xp.__name__), np.ones(3))

def test_unmarked():
    pass
"""

WORKERS = """
import os
import sys
import numpy as np
import pytest

pytestmark = pytest.mark.agree(backends=["numpy"])

@pytest.mark.parametrize("n", range(4))
def test_sizes(agree, n):
    agree(lambda xp, x: xp.sum(x) + float(n == 2 and "strict" in str(xp)), np.ones(n), backends=["strict"])

@pytest.mark.agree(backends=["numpy", "cupy:7"])
def test_skips(agree):
    agree(lambda xp, x: xp.exp(x), np.ones(3))

def test_imports():
    sys.modules["sklearn"] = np  # its version is listed

def test_end(agree):
    agree(lambda xp, x: xp.exp(x), np.ones(3))
    {}
"""


SUITES = {
    "scipy": """
import pytest, torch
from scipy import stats

@pytest.fixture
def xp():
    return torch

def test_it(xp):
    assert stats.skew(xp.asarray([1.0, 2.0, 4.0])) > 0
""",
    "sklearn": """
import pytest
import numpy as np
from sklearn.metrics import max_error

def check_array_api_metric(metric, array_namespace, device_name, dtype_name, a_np, b_np, **kwargs):
    assert metric(a_np, b_np) == 1

@pytest.mark.parametrize("array_namespace", ["torch"])
def test_it(array_namespace):
    x = np.ones(3)
    check_array_api_metric(max_error, array_namespace, "cpu", "float32", a_np=x, b_np=2 * x)
""",
    "xpx": """
import pytest, torch
from array_api_extra import sinc

@pytest.fixture
def library():
    return "torch"

@pytest.fixture
def xp():
    return torch

def test_it(xp, library):
    assert sinc(xp.asarray([0.0])) == 1
""",
}


def run(tmp_path, text, *options):
    (tmp_path / "test_it.py").write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "array_agreement.plugin", *options]
    result = subprocess.run(
        [*command, "test_it.py"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    return result.returncode, result.stdout + result.stderr


def test_reports_seeds_skips_and_mutants(tmp_path):
    options = ("--agree-seeds=3", "--agree-report=out.json", "--agree-mutants")
    code, output = run(tmp_path, TESTS, *options)
    assert code == 0, output
    assert "6 passed, 3 skipped" in output
    assert "agree: cupy:7 was not compared: " in output
    assert "cupy:7: " in output.split("SKIPPED")[1]
    assert "agree: not noticed: blind: sum, narrow accumulation" in output
    assert "not noticed: test_softmax" not in output
    report = json.loads((tmp_path / "out.json").read_text())
    assert len(report["tests"]) == 9
    first = report["tests"][0]["verdicts"][0]
    assert (first["backend"], first["kind"]) == ("numpy", "agrees")
    assert [*report["mutants"]] == sorted(report["mutants"])  # whichever worker of xdist ends first
    text = (tmp_path / "out.md").read_text()
    assert re.search(r"^\| test_softmax \| strict \| 0\.\d+ \| agrees \|$", text, re.M)
    assert "- cupy:7 skipped: " in text
    assert f"numpy {np.__version__}" in text


def read_report(tmp_path):
    """Return the tests of a JSON report and the lines of the text, without their order."""
    report = json.loads((tmp_path / "out.json").read_text())
    lines = (tmp_path / "out.md").read_text().splitlines()
    return sorted(map(json.dumps, [*report["tests"], report["mutants"]])), sorted(lines)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("end", "code"),
    [("", 1), ("raise KeyboardInterrupt", 2), ("os._exit(3)", 1)],
    ids=["ends", "Ctrl-C", "crash"],
)
def test_workers_of_xdist_report_as_one_process_does(tmp_path, end, code):
    (tmp_path / "out.json").write_text("from an earlier run")
    options = ["--agree-report=out.json", "--agree-seeds=2"]
    run(tmp_path, WORKERS, *options, "--collect-only")
    assert (tmp_path / "out.json").read_text() == "from an earlier run"
    lone = ["--agree-mutants"] if not end else ["--deselect=test_it.py::test_end"]
    run(tmp_path, WORKERS.format(""), *options, *lone)
    expected = read_report(tmp_path)
    for n in (1, 2) if "exit" in end else (0, 1, 2):
        found_code, output = run(
            tmp_path, WORKERS.format(end), *options, *lone[: not end], "-p", "xdist", f"-n{n}"
        )
        assert found_code == code, output
        assert "agree: cupy:7 was not compared: " in output
        found = read_report(tmp_path)
        if n == 2 and code == 2:  # the other worker's test ends or not
            assert set(found[0]) <= set(expected[0])
        else:
            assert found == expected


@pytest.mark.slow
@pytest.mark.parametrize("suite", SUITES)
def test_plugins_compare_the_functions_of_a_suite(tmp_path, suite, monkeypatch):
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    options = ("-p", f"array_agreement.{suite}", "--agree-report=out.json")
    code, output = run(tmp_path, SUITES[suite], *options)
    assert code == 0, output
    (test,) = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert test["verdicts"][0]["backend"].startswith("torch")


@pytest.mark.slow
def test_the_baseline_has_the_tests_that_may_disagree(tmp_path):
    run(tmp_path, WRONG, "--agree-baseline=known.txt", "--collect-only")
    other = WRONG + "\ndef test_other(agree):\n    assert agree is None\n"
    for text, expected in ((WRONG, 1), (WRONG, 0), (other, 1)):
        assert run(tmp_path, text, "--agree-baseline=known.txt")[0] == expected
        assert (tmp_path / "known.txt").read_text() == "test_it.py::test_wrong"


@pytest.mark.parametrize("name", ["x", "x.json", "x.md", "new/folder/x.md", "new/x.1"])
def test_the_report_has_two_files_of_its_own(tmp_path, name):
    code, output = run(tmp_path, WRONG, f"--agree-report={name}", "--agree-backends=numpy")
    assert code == 0, output
    stem = name.removesuffix(".json").removesuffix(".md")
    assert json.loads((tmp_path / f"{stem}.json").read_text())["tests"]
    assert (tmp_path / f"{stem}.md").read_text().startswith("| test |")
    assert sum(path.name.startswith("x") for path in tmp_path.rglob("*")) == 2


def test_a_report_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "x.json").mkdir()
    for name in ("test_it.py/x.json", "x"):
        code, output = run(tmp_path, WRONG, f"--agree-report={name}", "--agree-backends=numpy")
        assert code == 1, output
        assert f"Exit: --agree-report={name}: " in output


def test_fails_with_all_verdicts_if_backends_disagree(tmp_path):
    code, output = run(tmp_path, WRONG, "--agree-backends", "torch,numpy")
    assert code == 1
    assert "torch, result: error / bound = inf" not in output
    assert "torch, result: two answers, error / bound = " in output
    assert "numpy, result: error / bound = 0" in output


def test_works_in_fixtures_of_others_with_skips_and_expected_failures(tmp_path):
    """The option --agree-backends does not replace a namespace that a fixture gives."""
    options = ("-m", "agree", "-rx", "--agree-backends=numpy,torch,strict:device2", "--agree-report=out.json")
    code, output = run(tmp_path, FIXTURES, *options)
    assert code == 0, output
    assert "5 passed, 1 deselected, 1 xfailed" in output
    assert "torch:cpu: bug 7" in output
    assert "agree: torch disagrees as expected: known" in output
    assert "agree: strict:device2 was not compared: marked" in output
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert {v["backend"] for test in tests for v in test["verdicts"]} == {
        "numpy", "torch", "strict", "torch:cpu", "array_api_strict:device1",
    }  # fmt: skip


def test_compares_gradients(tmp_path):
    code, output = run(tmp_path, GRADIENT)
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert "torch, gradient: disagrees, error / bound = " in output
    assert "agree: the gradient on numpy was not compared: it has no autograd" in output


@pytest.mark.slow
def test_works_with_hypothesis(tmp_path):
    """Hypothesis shrinks arrays on which backends disagree."""
    code, output = run(tmp_path, HYPOTHESIS, "--agree-report=out.json", "-p", "hypothesis")
    assert code == 1
    assert "1 failed, 1 passed" in output
    assert re.search(r"x=array\(\[[ 0.,]*11\.", output)
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert len([test for test in tests if "softmax" in test["test"]]) == 5


def test_requires_only_numpy_array_api_compat_and_pytest(tmp_path):
    """All other installed packages raise ModuleNotFoundError."""
    (tmp_path / "only.py").write_text(
        """
import sys

ALLOWED = {"numpy", "array_api_compat", "pytest", "array_agreement", "only", "test_it", "conftest"}
PYTEST = {"_pytest", "pluggy", "iniconfig", "packaging", "pygments", "py"}  # dependencies of pytest

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in ALLOWED | PYTEST | set(sys.stdlib_module_names):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Only())
"""
    )
    code, output = run(
        tmp_path, WRONG, "-p", "only", "--agree-seeds=2", "--agree-mutants", "--agree-report=out.json"
    )
    assert code == 0, output
    assert "2 passed" in output
    assert "agree: torch was not compared: No module named 'torch'; pip install torch" in output


def test_entry_point_loads_the_plugin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    module = importlib.import_module(project["entry-points"]["pytest11"]["array_agreement"])
    assert module.agree
