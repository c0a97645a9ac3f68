"""Each promise of docs/reliability.md names tests that prove it, and tests named in documents exist."""

import ast

import pytest
from documents import DOCUMENTS, NAMED_TEST, ROOT

TEXT = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TABLE = TEXT.split("## Guarantees for each input")[1].split("\n## ")[0]
NAMED = {
    str(path.relative_to(ROOT)): found
    for path in DOCUMENTS
    if (found := NAMED_TEST.findall(path.read_text(encoding="utf-8")))
}
"""Document -> the tests that it names."""


def test_each_promise_names_tests():
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    for row in rows:
        assert NAMED_TEST.search(row.split("|")[4]), row
    assert len(NAMED["docs/reliability.md"]) > 25


@pytest.mark.parametrize("document", NAMED)
def test_named_tests_exist(document):
    for file, function in NAMED[document]:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert function in [node.name for node in tree.body if isinstance(node, ast.FunctionDef)], function
