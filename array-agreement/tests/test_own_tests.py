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

import pytest

VERSIONS = {"scipy": "1.17", "scikit-learn": "1.9"}
MAX_CHANGED_LINES = 3
SCIPY = "backends=[xp])"
SKLEARN = "backends=[(array_namespace, device_name)])"
TESTS = {
    "scipy.stats.tests.test_entropy::TestEntropy::test_entropy_2d": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(stats.entropy(pk, qk),", f"agree(stats.entropy, pk, qk, {SCIPY}"),
        ("                        xp.asarray([0.1933259, 0.18609809]))", ""),
    ],
    "scipy.stats.tests.test_entropy::TestEntropy::test_entropy_2d_nondefault_axis": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(stats.entropy(pk, qk, axis=1),",
         f"agree(stats.entropy, pk, qk, kwargs=dict(axis=1), {SCIPY}"),
        ("                        xp.asarray([0.23104906, 0.23104906, 0.12770641]))", ""),
    ],
    "scipy.stats.tests.test_stats::TestTrimmedStats::test_tmean": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(y, xp.asarray(5.0))", f"agree(stats.tmean, x, (2, 8), (True, True), {SCIPY}"),
    ],
    "scipy.stats.tests.test_stats::TestTrimmedStats::test_tsem": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(y, xp.std(y_ref, correction=1) / xp_size(y_ref)**0.5)",
         f"agree(stats.tsem, x, (3, 8), (False, True), {SCIPY}"),
    ],
    "scipy.stats.tests.test_stats::TestPearsonr::test_basic": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(prob, xp.asarray(1/3))",
         f"agree(lambda a, b: stats.pearsonr(a, b).statistic, a, b, {SCIPY}"),
    ],
    "scipy.special.tests.test_logsumexp::TestLogSumExp::test_logsumexp": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(logsumexp(a), desired)", f"agree(logsumexp, a, {SCIPY}"),
    ],
    "scipy.integrate.tests.test_quadrature::TestCumulative_trapezoid::test_1d": [
        ("self, xp", "self, xp, agree"),
        ("xp_assert_close(y_int, y_expected)",
         f"agree(cumulative_trapezoid, y, x, kwargs=dict(initial=0), {SCIPY}"),
    ],
    "sklearn.metrics.tests.test_pairwise::test_pairwise_distances_array_api": [
        ("dtype_name, metric", "dtype_name, metric, agree"),
        ("assert_allclose(D_xp_np, D_np)",
         f"agree(pairwise_distances, X_xp, kwargs=dict(metric=metric), max_unjudged=1, {SKLEARN}"),
    ],
    "sklearn.metrics.tests.test_pairwise::test_pairwise_kernels_array_api": [
        ("dtype_name)", "dtype_name, agree)"),
        ("assert_allclose(K_xp_np, K_np)",
         f"agree(pairwise_kernels, X_xp, kwargs=dict(metric=metric), {SKLEARN}"),
    ],
    "sklearn.utils.tests.test_extmath::test_randomized_svd_array_api_compliance": [
        ("dtype_name)", "dtype_name, agree)"),
        ('assert_allclose(move_to(s_xp, xp=np, device="cpu"), s_np, atol=atol)',
         f"agree(lambda X: randomized_svd(X, n_components, random_state=0)[1], X_xp, {SKLEARN}"),
    ],
    "sklearn.linear_model.tests.test_ridge::test_ridge_per_target_alpha_array_api": [
        ("dtype_name)", "dtype_name, agree)"),
        ("assert pred_xp.shape == pred_np.shape == y.shape",
         'fit = lambda X, y, alpha: Ridge(alpha=alpha, solver="svd").fit(X, y).coef_'),
        ("assert_allclose(", f"agree(fit, X_xp, y_xp, alpha, {SKLEARN}; assert_allclose("),
    ],
}  # fmt: skip
"""Test -> (old text, new text) of its changed lines. The first line with the old text is changed."""
EXPECTED_TARGETS = {"numpy", "torch", "strict", "torch:cpu", "array_api_strict:device1"}


def find_lines(text: str, path: list[str]) -> tuple[int, int]:
    """Return the first and last line of a function; ``path`` has the names of its class and the function."""
    node: ast.AST = ast.parse(text)
    for name in path:
        node = next(x for x in ast.iter_child_nodes(node) if getattr(x, "name", "") == name)
    assert isinstance(node, ast.FunctionDef)
    return node.lineno - 1, node.end_lineno or node.lineno


def change(text: str, path: list[str], changes: list[tuple[str, str]]) -> str:
    """Change one line of a test for each of the ``changes``."""
    assert len(changes) <= MAX_CHANGED_LINES, path
    lines = text.splitlines()
    first, last = find_lines(text, path)
    for old, new in changes:
        i = next(i for i in range(first, last) if old in lines[i])
        lines[i] = lines[i].replace(old, new)
    return "\n".join(lines) + "\n"


def write_tests(folder: Path) -> list[str]:
    """Write the changed test modules into a folder and return the tests' node ids."""
    texts = dict[str, str]()
    for test, changes in TESTS.items():
        module, *path = test.split("::")
        origin = importlib.util.find_spec(module).origin  # type: ignore[union-attr]
        text = texts.get(module) or Path(str(origin)).read_text(encoding="utf-8")
        texts[module] = change(text, path, changes)
    for module, text in texts.items():
        package = module.rpartition(".")[0]
        absolute = re.sub(r"^(\s*)from \.(\w)", rf"\1from {package}.\2", text, flags=re.M)
        (folder / f"{module.replace('.', '_')}.py").write_text(absolute, encoding="utf-8")
    ids = [test.split("::", 1) for test in TESTS]
    return [f"{module.replace('.', '_')}.py::{name}" for module, name in ids]


@pytest.mark.slow
def test_tests_of_scipy_and_scikit_learn_pass(tmp_path):
    pytest.importorskip("sklearn")
    found = [importlib.metadata.version(name).rpartition(".")[0] for name in VERSIONS]
    if found != list(VERSIONS.values()):
        pytest.skip(f"the changed lines are those of {VERSIONS}, found {found}")
    plugins = ["-p", "array_agreement.plugin", "-p", "scipy.conftest", "-p", "no:cacheprovider"]
    # CuPy, and torch for CUDA, can be imported without a GPU. Both suites would then use it and fail.
    options = ["-q", "--rootdir=.", "--agree-json=out.json", "-W", "ignore", "-k", "not cupy and not cuda"]
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    command = [sys.executable, "-m", "pytest", *plugins, *options, *write_tests(tmp_path)]
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-1000:]
    tests = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))["tests"]
    assert len({test["test"].split("[")[0] for test in tests if test["verdicts"]}) == len(TESTS)
    assert {verdict["backend"] for test in tests for verdict in test["verdicts"]} >= EXPECTED_TARGETS
