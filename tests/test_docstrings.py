"""What the examples in docstrings show is so."""

import doctest
import importlib

import pytest
from documents import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for folder in ("backends", "dnn")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if ">>> " in path.read_text(encoding="utf-8") and path.parent.name != "agreement"  # it takes seconds
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_show_what_is_so(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed
