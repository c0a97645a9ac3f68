"""Every function that computes numbers is entered by a level, or docs/agreement.md says why not."""

import ast
import fnmatch
import re
import sys
import threading
from pathlib import Path

import pytest

import dnn
from dnn.agreement import QUICK, available_contenders, bits_level, check

ROOT = Path(dnn.__file__).parents[1]
NUMERIC = re.compile(
    "dnn/(layers|losses|metrics|network|optimizers|parameters|random|training|lbfgs)"
    "|backends/(reference|reproducible|numpy|torch)"
)
NAMED = re.compile(r"## What is not compared\n(.*?)\n## ", re.DOTALL)


def functions(tree, place=""):
    """Yield the qualified names of all functions; containing functions are named like classes."""
    for node in ast.iter_child_nodes(tree):
        name = place + (getattr(node, "name", None) or "")
        if isinstance(node, ast.FunctionDef):
            yield name
        named = isinstance(node, (ast.FunctionDef, ast.ClassDef))
        yield from functions(node, f"{name}." if named else place)


@pytest.mark.slow
def test_functions_are_entered_or_named(data):
    entered = set()

    def note(frame, event, argument):
        if event == "call":
            entered.add(frame.f_code)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        contenders = available_contenders()[0]
        records = [*check(contenders, data, sizes=QUICK), *bits_level(contenders, data, quick=True)]
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    assert all(record.holds for record in records)
    names = {(c.co_filename, c.co_qualname.replace(".<locals>", "")) for c in entered}
    known = {
        (str(path), name)
        for path in ROOT.glob("[bd]*/**/*.py")
        if NUMERIC.match(path.relative_to(ROOT).as_posix())
        for name in functions(ast.parse(path.read_text("utf-8")))
    }
    page = NAMED.search((ROOT / "docs/agreement.md").read_text("utf-8")).group(1)
    named = {name for name in re.findall("`([^`]+)`", page) if "/" not in name} - {"dnn", "backends"}
    entered, left_out = ({name for _, name in part} for part in (known & names, known - names))
    assert left_out <= matching(left_out, named)
    assert all(matching(entered | left_out, [pattern]) for pattern in named)
    classes = [pattern for pattern in named if pattern.endswith(".*")]
    assert matching(entered - left_out, classes) == set(), "name their other functions one by one"


def matching(names, patterns):
    return {name for pattern in patterns for name in fnmatch.filter(names, pattern)}
