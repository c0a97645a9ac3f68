"""Static checks of what source files must not do.

They must not exceed the sizes that CONTRIBUTING.md names, execute their input, start a shell, use the network
outside SPEAKS, or import packages that pyproject.toml does not name.
"""

import ast
import re
import sys

import pytest
from documents import PROJECT, ROOT, text_of

FOLDERS = ("backends", "dnn", "scripts", "array-agreement/array_agreement")
FILES = {
    str(path.relative_to(ROOT)): text_of(path) for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")
}

RUNS_WHAT_IT_READS = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
NETWORK = {"urllib", "http", "socket", "requests", "ssl", "ftplib", "smtplib", "socketserver", "asyncio"}
SPEAKS = ("dnn/datasets/download.py", "dnn/commands/page/server.py")
"""They fetch and listen."""
SENDS_RESULTS = "array-agreement/array_agreement/plugin.py"
"""It sends the results of a test to pytest's main process, in a string of the report; it reads no file."""
HAS_CODE_AS_TEXT = ("array-agreement/array_agreement/functions.py", "eval")
"""A sweep's calls are a table of its own code, which its programs repeat; it reads no file."""
FORBIDDEN = re.compile(
    r"(?<![\w.])(eval|exec|__import__)\(|\bos\.(system|popen)\(|\btorch\.(hub\.)?load\(|\bget(status)?output\("
    r"|\b(allow_pickle|shell)=(?!False)"
)
DISTRIBUTIONS = {"PIL": "pillow", "sklearn": "scikit-learn", "skimage": "scikit-image",
                 "cupy": "cupy-cuda12x", "llvmlite": "numba"}  # fmt: skip
SCRIPTS = {
    path.stem.replace("_", "-") for path in (ROOT / "scripts").rglob("*") if path.suffix in ("", ".py")
}
# Besides the project's own: threadpoolctl helps the benchmark, and array-agreement declares mpmath.
UNDECLARED = {"array-agreement", "backends", "dnn", "mpmath", "threadpoolctl", *SCRIPTS}
OPTIONAL_ROOMS = "dnn/interop/sklearn/", "dnn/commands/page/"  # their importers report the missing extra

LONG_FUNCTIONS = {"get_backend", "check_agreement"}  # half of each is its docstring


def imported(nodes):
    """Return the top-level modules that these nodes of a file import."""
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.split(".")[0] for name in names}


@pytest.mark.parametrize("name", FILES)
def test_functions_and_files_are_short(name):
    assert FILES[name].count("\n") <= 300
    functions = [node for node in ast.walk(ast.parse(FILES[name])) if isinstance(node, ast.FunctionDef)]
    assert {f.name for f in functions if f.end_lineno - f.lineno >= 60} <= LONG_FUNCTIONS


@pytest.mark.parametrize("name", FILES)
def test_loading_a_file_executes_no_code(name):
    refused = RUNS_WHAT_IT_READS if name in SPEAKS else RUNS_WHAT_IT_READS | NETWORK
    refused -= {"pickle"} if name == SENDS_RESULTS else set()
    assert imported([*ast.walk(ast.parse(FILES[name]))]) & refused == set()
    found = FORBIDDEN.search(FILES[name])
    assert found is None or (name, found[1]) == HAS_CODE_AS_TEXT


def distributions(nodes):
    """Return the pip names of the distributions that these nodes import."""
    tops = imported(nodes) - sys.stdlib_module_names
    return {DISTRIBUTIONS.get(top, top).lower().replace("_", "-") for top in tops} - UNDECLARED


def names_of(requirements):
    return {re.split(r"[\[><=!~; ]", r, maxsplit=1)[0].lower() for r in requirements}


def test_imports_are_declared():
    """By the project, or by an extra if the file handles the missing package: in dnn that is an import inside
    a function, except in the files of optional interop."""
    required = names_of(PROJECT["project"]["dependencies"])
    extras = names_of(r for some in PROJECT["project"]["optional-dependencies"].values() for r in some)
    for name, text in FILES.items():
        tree = ast.parse(text)
        assert distributions([*ast.walk(tree)]) <= required | extras, name
        if name.startswith("dnn/") and not name.startswith(OPTIONAL_ROOMS):
            assert distributions(tree.body) <= required, name
