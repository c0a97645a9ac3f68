"""Names that need a second reading: participles as functions, vague constants."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import ROOT

FOLDERS = ("backends", "dnn", "scripts", "array-agreement/array_agreement")
SOURCES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
PARTICIPLE = re.compile(r"_*[a-z]+ed_*$")
IRREGULAR = {
    "begun", "built", "drawn", "done", "fallen", "found", "given", "gone", "held", "hidden", "kept",
    "known", "left", "made", "meant", "parted", "ran", "said", "seen", "sent", "shown", "taken",
    "told", "turned", "written",
}  # fmt: skip
NOT_PARTICIPLES = {"embed", "feed", "need", "proceed", "seed", "speed"}
PROPERTIES = {"converged", "frozen", "trained"}
"""Boolean properties, which read as "if state.converged"."""
VAGUE_CONSTANTS = {
    "BIG", "FAR", "FEW", "GAIN", "GOOD", "HERE", "LARGE", "LEAST", "LITTLE", "LONG", "LOW", "MANY",
    "MORE", "MOST", "MUCH", "NEAR", "ODD", "SHORT", "SMALL", "THIN", "TIGHT", "TINY", "USUAL", "WIDE",
}  # fmt: skip


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def is_participle(name: str) -> bool:
    word = name.strip("_")
    regular = PARTICIPLE.fullmatch(name) is not None and word not in NOT_PARTICIPLES
    return (regular or word in IRREGULAR) and word not in PROPERTIES


def faults(path: Path) -> Iterator[str]:
    """Yield what needs a second reading in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in functions(tree):
        if is_participle(node.name):
            expected = "expected a verb or the noun that it returns"
            yield f"{path}:{node.lineno}: function {node.name} is a participle, {expected}"
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            if isinstance(target, ast.Name) and target.id.strip("_") in VAGUE_CONSTANTS:
                expected = "expected a noun with its bound or unit"
                yield f"{path}:{node.lineno}: constant {target.id} is vague, {expected}"


def test_names() -> None:
    found = [fault for path in SOURCES for fault in faults(path)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("made", True), ("_flushed", True), ("resolve", False), ("seed", False), ("frozen", False)],
)
def test_participles_are_recognised(name: str, expected: bool) -> None:
    assert is_participle(name) == expected
