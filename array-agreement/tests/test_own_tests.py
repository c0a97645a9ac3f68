"""Array-API tests of SciPy and scikit-learn run through array-agreement, with up to three changed lines each.

The tests keep their own fixtures and parameters: SciPy's ``xp``, and scikit-learn's
``yield_namespace_device_dtype_combinations``.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from own_tests import FAST_TESTS, TESTS

VERSIONS = {"scipy": "1.17", "scikit-learn": "1.9"}
MAX_CHANGED_LINES = 3
PARAMETERS = {
    "xp": "[xp]",
    "namespace": "[(namespace, device_name)]",
    "array_namespace": "[(array_namespace, device_name)]",
}
"""Parameter that names the namespace of a test -> the option ``backends`` for it."""
EXPECTED_TARGETS = {"numpy", "torch", "strict", "torch:cpu", "array_api_strict:device1"}


def find_test(text: str, path: list[str]) -> ast.FunctionDef:
    """Find a test function; ``path`` has the names of its class and the function."""
    node: ast.AST = ast.parse(text)
    for name in path:
        node = next(x for x in ast.iter_child_nodes(node) if getattr(x, "name", "") == name)
    assert isinstance(node, ast.FunctionDef)
    return node


def find_call(test: ast.FunctionDef, start: str) -> tuple[ast.Call, Any]:
    """Return the first call in a test whose source begins with ``start``, and its statement."""
    nodes = [node for statement in test.body for node in ast.walk(statement)]
    calls = [x for x in nodes if isinstance(x, ast.Call) and ast.unparse(x).startswith(start)]
    assert calls, (test.name, start)
    call = min(calls, key=lambda x: x.lineno)
    statements = [x for x in nodes if isinstance(x, ast.Expr | ast.Assign | ast.Assert)]
    return call, max((x for x in statements if x.lineno <= call.lineno), key=lambda x: x.lineno)


def compare_call(text: str, path: list[str], start: str) -> str:
    """Add ``agree`` to a test's parameters, and compare the first call whose source begins with ``start``.

    ``agree(...)`` replaces an assertion of at most two lines, such as ``xp_assert_close(f(x), expected)``. It
    is put before all other statements, such as ``y = f(x)``.
    """
    test = find_test(text, path)
    call, statement = find_call(test, start)
    parameter = next(x for x in test.args.args if x.arg in PARAMETERS)
    arguments = ", ".join(map(ast.unparse, [call.func, *call.args]))
    kwargs = ast.unparse(ast.Call(ast.Name("dict"), [], call.keywords))
    agree = f"agree({arguments}, kwargs={kwargs}, backends={PARAMETERS[parameter.arg]})"
    lines = text.splitlines()
    first, last = statement.lineno - 1, statement.end_lineno
    is_assertion = ast.unparse(statement).startswith(("xp_assert", "assert_"))
    if is_assertion and last - first < MAX_CHANGED_LINES:
        lines[first:last] = [" " * statement.col_offset + agree, *[""] * (last - first - 1)]
    else:
        lines[first] = f"{lines[first][: statement.col_offset]}{agree}; {lines[first].lstrip()}"
    line = lines[parameter.lineno - 1]
    lines[parameter.lineno - 1] = f"{line[: parameter.col_offset]}agree, {line[parameter.col_offset :]}"
    return "\n".join(lines) + "\n"


def write_tests(folder: Path, tests: dict[str, dict[str, str]]) -> list[str]:
    """Write the changed test modules into a folder and return the tests' node ids."""
    ids = []
    for module, calls in tests.items():
        origin = importlib.util.find_spec(module).origin  # type: ignore[union-attr]
        text = Path(str(origin)).read_text(encoding="utf-8")
        for test, start in calls.items():
            text = compare_call(text, test.split("::"), start)
        package = module.rpartition(".")[0]
        text = re.sub(r"^(\s*)from \.(\w)", rf"\1from {package}.\2", text, flags=re.M)
        text = re.sub(r"^(\s*)from \. import", rf"\1from {package} import", text, flags=re.M)
        file = f"{module.replace('.', '_')}.py"
        (folder / file).write_text(text, encoding="utf-8")
        ids += [f"{file}::{test}" for test in calls]
    return ids


@pytest.mark.parametrize(
    "tests", [FAST_TESTS, pytest.param(TESTS, marks=pytest.mark.slow)], ids=["fast", "all"]
)
def test_tests_of_scipy_and_scikit_learn_pass(tmp_path, tests):
    pytest.importorskip("sklearn")
    found = [importlib.metadata.version(name).rpartition(".")[0] for name in VERSIONS]
    if found != list(VERSIONS.values()):
        pytest.skip(f"the changed lines are those of {VERSIONS}, found {found}")
    plugins = ["-p", "array_agreement.plugin", "-p", "scipy.conftest", "-p", "no:cacheprovider"]
    # CuPy, and torch for CUDA, can be imported without a GPU. Both suites would then use it and fail.
    options = ["-q", "--rootdir=.", "--agree-report=out.json", "-W", "ignore", "-k", "not cupy and not cuda"]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    ids = write_tests(tmp_path, tests)
    command = [sys.executable, "-m", "pytest", *plugins, *options, *ids]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]
    results = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["tests"]
    assert {test["test"].split("[")[0] for test in results if test["verdicts"]} == set(ids)
    assert {verdict["backend"] for test in results for verdict in test["verdicts"]} >= EXPECTED_TARGETS
