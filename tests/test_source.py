"""Static checks of what source files must not do.

They must not execute their input, start a shell, use the network outside dnn/datasets/download.py, or import
packages that pyproject.toml does not name.
"""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("backends", "dnn", "scripts", "array-agreement/array_agreement")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]

RUNS_WHAT_IT_READS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
FORBIDDEN = {
    "eval", "exec", "__import__", "builtins.eval", "builtins.exec", "os.system", "os.popen", "torch.load",
    "torch.hub.load", "subprocess.getoutput", "subprocess.getstatusoutput",
}  # fmt: skip
NETWORK = {"urllib", "http", "socket", "requests", "ssl", "ftplib", "smtplib", "socketserver", "asyncio"}
# Fetches; listens.
SPEAKS = ("dnn/datasets/download.py", "dnn/commands/page/server.py")
OWN = {
    "array_agreement",
    "backends",
    "dnn",
    *(path.stem for path in (ROOT / "scripts").rglob("*") if path.suffix in ("", ".py")),
}
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image",
                 "cupy": "cupy-cuda12x", "llvmlite": "numba"}  # fmt: skip
# Other libraries of the benchmark, and optional helpers.
OPTIONAL = {"threadpoolctl"}
OPTIONAL_ROOMS = "dnn/interop/sklearn/", "dnn/commands/page/"  # their importers report the missing extra


def imports(tree):
    """Return every module that a file imports anywhere, by its full name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module


def name_of(node):
    """Return "a.b.c" for an expression that is a name or a dotted name, else ""."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{name_of(node.value)}.{node.attr}"
    return ""


def is_true(call, keyword):
    """Return whether a call has this keyword with any value other than a literal False."""
    return any(
        k.arg == keyword and not (isinstance(k.value, ast.Constant) and k.value.value is False)
        for k in call.keywords
    )


def offences(source, name):
    """Return the violations in a file as (line, description)."""
    tree, found = ast.parse(source), []
    for module in imports(tree):
        top = module.split(".")[0]
        if top in RUNS_WHAT_IT_READS or (top in NETWORK and name not in SPEAKS):
            found.append(f"import {module}")
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = name_of(node.func)
        last = called.split(".")[-1]
        if called in FORBIDDEN:
            found.append(called)
        elif last == "load" and is_true(node, "allow_pickle"):
            found.append(f"{called}(allow_pickle)")
        elif is_true(node, "shell"):
            found.append(f"{called}(shell)")
    return found


def test_loading_a_file_executes_no_code():
    found = {name: offences((ROOT / name).read_text(encoding="utf-8"), name) for name in NAMES}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "def f():\n    from marshal import loads", "import shelve, os", "import dill as d",
        "eval('1')", "exec(text)", "__import__('os')", "import torch\ntorch.load(path)",
        "np.load(path, allow_pickle=True)", "np.load(path, allow_pickle=flag)", "os.system('ls')",
        "subprocess.run('ls', shell=True)", "import urllib.request", "from http.client import HTTPException",
        "import socket", "import requests",
    ],
)  # fmt: skip
def test_offences_are_found(source):
    assert offences(source, "dnn/sequential.py")


def test_only_fetch_uses_the_network():
    source = "import socket\nfrom http.client import HTTPException"
    assert offences(source, "dnn/datasets/download.py") == []
    assert len(offences(source, "dnn/datasets/digit_images.py")) == 2


def declared():
    """Return (required, optional) distribution names in lower case; required ones have a lower bound."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    def names(requirements):
        return {re.split(r"[\[><=!~; ]", r, maxsplit=1)[0].lower() for r in requirements}

    required = project["dependencies"]
    assert all(">=" in requirement for requirement in required)
    extras = [r for some in project["optional-dependencies"].values() for r in some]
    return names(required), names(extras)


def distributions(tree):
    """Return the pip names of the distributions that a file imports."""
    tops = {module.split(".")[0] for module in imports(tree)} - sys.stdlib_module_names - OWN
    return {DISTRIBUTIONS.get(top, top).lower().replace("_", "-") for top in tops}


def test_imports_are_declared():
    """By the project, or by an extra if the file handles the missing package: in dnn that is an import inside
    a function, except in the files of optional interop."""
    required, extras = declared()
    for name in NAMES:
        tree = ast.parse((ROOT / name).read_text(encoding="utf-8"))
        assert distributions(tree) - required - extras <= OPTIONAL, name
        if name.startswith("dnn/") and not name.startswith(OPTIONAL_ROOMS):
            tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
            assert distributions(tree) <= required, name
