"""README.md, CONTRIBUTING.md and docs/: what they name exists, and Chinese pages have the same programs."""

import importlib
import re

import pytest
from documents import CHINESE, ROOT, blocks, each_document, find_numbers, text_of
from helpers import assert_listed

from backends.reference import ACTIVATIONS
from dnn.layers import LAYERS
from dnn.optimizers import OPTIMIZERS

ENTRY_POINT_GROUP = "dnn.backends"


@each_document
def test_links_and_paths_exist(document):
    text = text_of(document)
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [link for link in links if not (document.parent / link).exists()]
    paths = re.findall(r"(?<!agreement/)\b(?:backends|dnn|docs|scripts|tests)/[\w/.-]*\w", text)
    ignored = text_of(".gitignore").splitlines()  # what a command may make
    expected = [path for path in paths if "NAME" not in path and f"/{path}/" not in ignored]
    missing += [path for path in expected if not (ROOT / path).exists()]
    assert missing == []


@each_document
def test_modules_and_names_exist(document):
    """Checks names such as `dnn.metrics` and `dnn.lbfgs.minimise`."""
    for name in re.findall(r"`((?:backends|dnn)(?:\.\w+)+)[`(]", text_of(document)):
        module, _, attribute = name.rpartition(".")
        if name != ENTRY_POINT_GROUP and not hasattr(importlib.import_module(module), attribute):
            importlib.import_module(name)


@each_document
def test_named_tests_exist(document):
    for file, function in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of(document)):
        assert f"\ndef {function}(" in text_of(file), function


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_chinese_pages_have_the_same_programs_and_tables(page):
    """README.zh.md has fewer tables."""
    is_readme = page.name == "README.zh.md"
    pages = ROOT / "README.md" if is_readme else page.with_name(page.name.replace(".zh", "")), page
    programs = [[b.text for b in blocks(p) if b.language in ("python", "text")] for p in pages]
    assert programs[0] == programs[1]
    lines = [text_of(p).splitlines() for p in pages]
    rows = [[find_numbers(line) for line in page_lines if line[:1] == "|"] for page_lines in lines]
    assert rows[0] == rows[1] or is_readme


def test_parts_are_in_the_guide():
    """Layers, optimizers and activations, by their names in programs."""
    words = re.findall(r"\w+", text_of("docs/guide/parts.md"))
    parts = {*LAYERS, *ACTIVATIONS, *(rule.__name__ for rule in OPTIMIZERS.values())}
    assert_listed("docs/guide/parts.md", parts & {*words}, parts)
