"""Parse the documents: README.md, CONTRIBUTING.md and docs/ with its guide."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
CHINESE = [path for path in DOCUMENTS if path.name.endswith(".zh.md")]
"""Their programs are those of the English pages, so only these run."""
GUIDE = [path for path in DOCUMENTS if path.parent.name == "guide" and path not in CHINESE]
NAMES = [str(path.relative_to(ROOT)) for path in DOCUMENTS]


class Block(NamedTuple):
    """A fenced code block with its document, line number, language and text."""

    document: Path
    line: int
    language: str
    text: str


def blocks(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    found = re.finditer(r"^```([\w{}-]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(document, text[: m.start()].count("\n") + 1, m[1], m[2]) for m in found]


def printed_text(block: Block) -> str:
    """Return what a Python block prints according to the document: the "text" block after it, or ""."""
    after = block.line + block.text.count("\n") + 3  # a closing fence, and an empty line
    return "".join(b.text for b in blocks(block.document) if (b.line, b.language) == (after, "text"))


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]


def blocks_of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def find_numbers(text: str) -> list[str]:
    """Return the numbers that a text measures or counts: decimals, percentages and large numbers."""
    return re.findall(r"\d[\d,]*\.\d+|\d+,\d{3}|\d{3,}|\d+(?= ?%)", text)


def commands() -> list[str]:
    """Return each command of the shell blocks once, without its comment."""
    lines = "".join(block.text for block in blocks_of("sh")).replace("\\\n", " ").splitlines()
    parts = (part for line in lines for part in line.split("&&"))
    return sorted({" ".join(shlex.split(part, comments=True)) for part in parts} - {""})


SCRIPT_LINES = [c.removeprefix("python scripts/") for c in commands() if c.startswith("python scripts/")]
OTHER_LINES = [c for c in commands() if not c.startswith("python scripts/")]


def listed_files(heading: str) -> list[str]:
    """Return the files of the numbered list in a section of docs/architecture.md, in order."""
    page = ROOT / "docs" / "architecture.md"
    section = page.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\d+\. [\[`]([\w/.-]+)", section, re.MULTILINE)
