"""Run the examples in docstrings."""

import doctest
import importlib

import pytest
from documents import ROOT, text_of
from own_parts import TABLES

SLOW = {"dnn.agreement"}  # takes seconds; tests/dnn/agreement covers the same code
PROJECT = "array-agreement"
FOLDERS = ((".", "backends"), (".", "dnn"), ("scripts", "scripts"), (PROJECT, f"{PROJECT}/array_agreement"))
MODULES = {
    ".".join(path.relative_to(ROOT / start).with_suffix("").parts).removesuffix(".__init__")
    for start, folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if ">>>" in text_of(path)
}


@pytest.mark.parametrize("name", sorted(MODULES - SLOW))
def test_examples(name, monkeypatch):
    for table in TABLES:  # restored after each example
        monkeypatch.setattr(table, "_entries", dict(table._entries))
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0 < found.attempted
