"""Each promise of docs/reliability.md names the tests that show it, and they are there."""

import ast
import re

from documents import ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TABLE = TEXT.split("## Who gives what")[1].split("\n## ")[0]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")


def test_each_promise_names_its_tests():
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        assert NAMED.search(row.split("|")[4]), row


def test_the_named_tests_are_there():
    named = NAMED.findall(TEXT)
    assert len(named) > 25
    for file, function in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)], function
