"""CONTRIBUTING.md is complete: following its list of files adds an example of each kind.

The package ``additions`` holds the examples. The tests add them to a copy of the checkout. There they run
``agree.py`` and the tests that iterate over the tables of components.
"""

import json
import os
import re
import shutil
import subprocess
import sys

import additions
import pytest
from documents import ROOT, text_of

TESTED = (
    "tests/backends/test_overrides.py", "tests/backends/test_extremes.py",
    "tests/backends/reference/test_kernels.py", "tests/dnn/test_losses.py",
    "tests/dnn/test_checkpoints.py", "tests/dnn/optimizers/test_optimizers.py",
    "tests/dnn/layers/test_layers.py", "tests/dnn/training/test_no_host_reads.py",
    "tests/dnn/agreement/test_levels.py",
    "tests/dnn/interop/torch", "tests/dnn/interop/onnx", "tests/dnn/callbacks/test_epoch_counter.py",
    "tests/dnn/commands/test_train.py", "tests/scripts/test_hostile_values.py",
    "tests/scripts/test_options.py", "tests/test_docstrings.py", "tests/test_names_in_docs.py",
)  # fmt: skip
TOYS = ("log_sigmoid", "huber", "lion", "group_norm", "GroupNormalization", "epoch_counter", "remark")
TABLE_TESTS = (
    "test_odd_option_values", "test_tables_list_every_registered_part", "every_layer",
    "activation_properties", "every_optimizer", "every_option", "option_defaults",
    "parts_are_in_the_guide", "losses_and_gradients_are", "test_the_first_layer_returns_no_gradient",
    "test_examples",
)  # fmt: skip
"""Parts of the names of tests that go through a table."""
OURS = {"numpy", "numba", "torch", "strict", "mylib"}
COMPARED = {
    "L0": {"log_sigmoid"},
    "L1": {"Dense activation=log_sigmoid", "GroupNormalization"},
    "L2": {"log_sigmoid", "huber"},
    "L3": {"lion"},
    "L4": {"log_sigmoid", "lion", "huber delta"},
}
"""Level -> what the names of its cases or tensors must hold."""


def listed_paths(heading):
    """Return the files and folders that each step of a section's list names."""
    text = text_of("CONTRIBUTING.md")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    steps = re.findall(r"^\d+\. (.*(?:\n   .*)*)", section, re.MULTILINE)
    return [re.findall(r"`((?:[\w.]+/)+[\w.]*|CHANGELOG\.md)`", step) for step in steps]


@pytest.mark.parametrize("heading", additions.SECTIONS)
def test_an_example_needs_only_the_listed_files(heading):
    """Each file of the example is in the list, and each step of the list has a file of the example."""
    files = {addition.file for addition in additions.SECTIONS[heading]}
    named = [
        {f for f in files for path in step if f == path or (path[-1] == "/" and f.startswith(path))}
        for step in listed_paths(heading)
    ]
    assert set().union(*named) == files
    assert all(named)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """Return a copy of this checkout with all examples in it."""
    root = tmp_path_factory.mktemp("checkout") / "copy"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "data", "runs"))
    (root / "mylib-0.1.dist-info").mkdir()
    for example in (*additions.SECTIONS.values(), additions.BACKEND):
        for addition in example:
            addition.write(root)
    return root


def run_in(checkout, *arguments):
    """Run Python on the copy, which takes precedence over installed packages."""
    environment = os.environ | {"PYTHONPATH": str(checkout), "DNN_REQUIRE": ""}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=1800
    )


@pytest.mark.slow
def test_the_tests_of_tables_pass_with_the_examples(checkout):
    options = ("-q", "-p", "no:cacheprovider", "-m", "not slow", "-k", " or ".join((*TOYS, *TABLE_TESTS)))
    done = run_in(checkout, "-m", "pytest", *options, *TESTED)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 300


@pytest.mark.slow
def test_agree_compares_the_examples_on_every_backend_of_ours(checkout):
    """Lion is not compared with native PyTorch, which has no such optimizer."""
    done = run_in(checkout, "scripts/agree.py", "--quick", "--dataset", "digits", "--json")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found = json.loads(done.stdout)
    for level, names in COMPARED.items():
        for name in names:
            backends = {
                r["backend"]
                for r in found["records"]
                if r["level"] == level and name in f"{r['case']} {r['tensor']}"
            }
            assert backends >= OURS, (level, name)
            assert ("pytorch" in backends) == ("lion" not in name), (level, name)
