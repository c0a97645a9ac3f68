"""Parse the documents: README.md, CONTRIBUTING.md and docs/ with its guide."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]


def text_of(path):
    """Return the text of a file of this repository."""
    return (ROOT / path).read_text(encoding="utf-8")


PROJECT = tomllib.loads(text_of("pyproject.toml"))
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
CHINESE = [path for path in DOCUMENTS if path.name.endswith(".zh.md")]
"""Their programs are those of the English pages, so only these run."""
GUIDE = [path for path in DOCUMENTS if path.parent.name == "guide" and path not in CHINESE]
NOTEBOOKS = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
PAGES = [*DOCUMENTS, *NOTEBOOKS]
each_document = pytest.mark.parametrize("document", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


class Block(NamedTuple):
    """A fenced code block with its document, line number, language and text."""

    document: Path
    line: int
    language: str
    text: str


def blocks(document):
    text = text_of(document)
    found = re.finditer(r"^```([\w{}-]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(document, text[: m.start()].count("\n") + 1, m[1], m[2]) for m in found]


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


def blocks_of(*languages):
    return [block for block in BLOCKS if block.language in languages]


def find_numbers(text):
    """Return the numbers that a text measures or counts: decimals, percentages and large numbers."""
    return re.findall(r"\d[\d,]*\.\d+|\d+,\d{3}|\d{3,}|\d+(?= ?%)", text)
