"""README.md, CONTRIBUTING.md and docs/: what they name exists, and both README files say the same."""

from __future__ import annotations

import importlib
import re
from collections import Counter

import pytest
from documents import CHINESE, DOCUMENTS, NAMES, ROOT, blocks, blocks_of, find_numbers
from helpers import assert_listed

from backends.reference import ACTIVATIONS
from dnn.layers import LAYERS
from dnn.optimizers import OPTIMIZERS

README_LINES = 150
ENTRY_POINT_GROUPS = ("dnn.backends",)


def pages_of(toctree):
    """Return the paths of the pages in a table of contents."""
    names = [line for line in toctree.text.splitlines() if line and not line.startswith(":")]
    return [toctree.document.parent / f"{name}.md" for name in names]


@pytest.mark.parametrize(
    "block", blocks_of("{eval-rst}", "{toctree}"), ids=lambda b: f"{b.document.name}:{b.line}"
)
def test_site_names_exist(block):
    """Sphinx checks this too (make docs), but the tests do not need it."""
    if block.language == "{toctree}":
        assert [page for page in pages_of(block) if not page.is_file()] == []
    for name in re.findall(r"^\.\. automodule:: (\S+)$", block.text, re.MULTILINE):
        importlib.import_module(name)
    for name in re.findall(r"^\.\. autoclass:: (\S+)$", block.text, re.MULTILINE):
        module, _, attribute = name.rpartition(".")
        assert isinstance(getattr(importlib.import_module(module), attribute), type)


def test_every_page_is_in_the_site():
    """Each page is in the table of contents of docs/index.md."""
    named = {page for block in blocks_of("{toctree}") for page in pages_of(block)}
    pages = {path for path in DOCUMENTS if ROOT / "docs" in path.parents}
    assert pages - named == {ROOT / "docs" / "index.md"}


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_links_and_paths_exist(document):
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    missing = [link for link in links if not (document.parent / link).exists()]
    paths = re.findall(r"\b(?:backends|dnn|docs|scripts|tests)/[\w/.-]*\w", text)
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()  # what a command may make
    expected = [path for path in paths if "NAME" not in path and f"/{path}/" not in ignored]
    missing += [path for path in expected if not (ROOT / path).exists()]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_modules_and_names_exist(document):
    """Checks names such as `dnn.metrics` and `dnn.lbfgs.minimise`."""
    for name in re.findall(r"`((?:backends|dnn)(?:\.\w+)+)[`(]", document.read_text(encoding="utf-8")):
        if name in ENTRY_POINT_GROUPS:
            continue
        module, _, attribute = name.rpartition(".")
        if not hasattr(importlib.import_module(module), attribute):
            importlib.import_module(name)


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_named_tests_exist(document):
    for file, function in re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", document.read_text(encoding="utf-8")):
        assert f"\ndef {function}(" in (ROOT / file).read_text(encoding="utf-8"), function


@pytest.mark.parametrize("document", DOCUMENTS, ids=NAMES)
def test_lines_are_short(document):
    """Under 120 characters, except tables, diagrams and Chinese, where a line break would be a space."""
    text = re.sub(r"^```mermaid\n.*?^```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    long = [line for line in text.splitlines() if len(line) >= 120 and not line.startswith("|")]
    assert long == [] or document.name.endswith(".zh.md") or document.name == "lecture.md"


@pytest.mark.parametrize("page", CHINESE, ids=lambda page: page.name)
def test_chinese_pages_have_the_same_programs_and_tables(page):
    """README.zh.md has fewer tables. A reader of one page finds the other at its top."""
    english = (
        ROOT / "README.md" if page.name == "README.zh.md" else page.with_name(page.name.replace(".zh", ""))
    )
    programs = [[b.text for b in blocks(p) if b.language in ("python", "text")] for p in (english, page)]
    assert programs[0] == programs[1]
    texts = [p.read_text(encoding="utf-8") for p in (english, page)]
    rows = [[find_numbers(line) for line in text.splitlines() if line[:1] == "|"] for text in texts]
    assert rows[0] == rows[1] or page.name == "README.zh.md"
    assert "[English](" in texts[1][:200]


def test_a_chinese_reader_finds_how_to_check_a_backward_pass():
    """In one click from the README, the lecture and the page on one update."""
    for name in ("README", "lecture", "one-update"):
        text = (ROOT / "docs" / f"{name}.zh.md").read_text(encoding="utf-8")
        assert "(guide/check-backward.zh.md)" in text
    for name in ("README.md", "docs/lecture.md", "docs/one-update.md", "docs/index.md"):
        assert "guide/check-backward.md)" in (ROOT / name).read_text(encoding="utf-8")


def test_parts_are_in_the_guide():
    """Layers, optimizers and activations, by their names in programs."""
    words = re.findall(r"\w+", (ROOT / "docs" / "guide" / "parts.md").read_text(encoding="utf-8"))
    parts = {*LAYERS, *ACTIVATIONS, *(rule.__name__ for rule in OPTIMIZERS.values())}
    assert_listed("docs/guide/parts.md", parts & {*words}, parts)


def test_both_readmes_have_the_same_numbers():
    """The Chinese README has no additional numbers, and the same tables and number of headings.

    Both are short.
    """
    pages = [ROOT / "README.md", ROOT / "docs" / "README.zh.md"]
    english, chinese = (path.read_text(encoding="utf-8") for path in pages)
    assert f"]({pages[1].relative_to(ROOT)})" in english[: english.index("\n## ")]
    assert Counter(find_numbers(chinese)) - Counter(find_numbers(english)) == Counter()
    assert len(find_numbers(chinese)) > 30
    rows = [
        [find_numbers(line) for line in text.splitlines() if line[:1] == "|"] for text in (english, chinese)
    ]
    assert [row for row in rows[1] if row not in rows[0]] == []
    one, two = (len(re.findall("^##", text, re.MULTILINE)) for text in (english, chinese))
    assert one == two > 5
    assert max(len(text.splitlines()) for text in (english, chinese)) <= README_LINES
