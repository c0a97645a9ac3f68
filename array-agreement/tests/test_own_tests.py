"""Array-API tests of SciPy and scikit-learn run through array-agreement, with two changed lines each.

The tests keep their own fixtures and parameters: SciPy's ``xp``, and scikit-learn's
``yield_namespace_device_dtype_combinations``.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from own_tests import read_tests

VERSIONS = {"scipy": "1.17", "scikit-learn": "1.9"}
PARAMETERS = {
    "xp": "[xp]",
    "namespace": "[(namespace, device_name)]",
    "array_namespace": "[(array_namespace, device_name)]",
}
"""Parameter that names the namespace of a test -> the option ``backends`` for it."""
EXPECTED_TARGETS = {"numpy", "torch", "strict", "torch:cpu", "array_api_strict:device1"}


def compare_call(text, path, start):
    """Add ``agree`` to a test's parameters, and compare the first call whose source begins with ``start``.

    ``path`` has the names of the test's class and of the test.
    """
    position = 0
    for name in path:
        position = re.compile(rf"^ *(class|def) {name}\b", re.M).search(text, position).start()
    test = text[position:]
    parameter = re.search(rf"\b({'|'.join(PARAMETERS)})\b", test)
    function, arguments = start.rsplit("(", 1)
    pattern = re.escape(f"{function}(") + r"\s*" + re.escape(arguments)
    compared = f"agree.wrap({function}, backends={PARAMETERS[parameter[0]]})({arguments}"
    body, n = re.subn(pattern, compared, test[parameter.start() :], count=1)
    assert n
    return f"{text[:position]}{test[: parameter.start()]}agree, {body}"


def write_tests(folder, tests):
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


@pytest.mark.slow
def test_tests_of_scipy_and_scikit_learn_pass(tmp_path):
    pytest.importorskip("sklearn")
    found = [importlib.metadata.version(name).rpartition(".")[0] for name in VERSIONS]
    if found != list(VERSIONS.values()):
        pytest.skip(f"the changed lines are those of {VERSIONS}, found {found}")
    plugins = ["-p", "array_agreement.plugin", "-p", "scipy.conftest", "-p", "no:cacheprovider"]
    # CuPy, and torch for CUDA, can be imported without a GPU. Both suites would then use it and fail.
    options = ["-q", "--rootdir=.", "--agree-report=out.json", "-W", "ignore", "-k", "not cupy and not cuda"]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    ids = write_tests(tmp_path, read_tests())
    command = [sys.executable, "-m", "pytest", *plugins, *options, *ids]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]
    results = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["tests"]
    assert {test["test"].split("[")[0] for test in results if test["verdicts"]} == set(ids)
    assert {verdict["backend"] for test in results for verdict in test["verdicts"]} >= EXPECTED_TARGETS
