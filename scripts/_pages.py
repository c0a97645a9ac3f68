"""Tables of the documentation, which stand between <!-- table: NAME --> and <!-- end -->."""

import re
import textwrap
from collections.abc import Sequence
from pathlib import Path

from backends.errors import InputError, reraise
from dnn.io.atomic_files import write_atomically

MAX_LINE = 118
Grid = Sequence[Sequence[str]]
"""A table: headings, then rows of cells. The first cell of a row is the row's name."""


def write_table(page: Path, name: str, grid: Grid, note: str = "") -> None:
    """Replace a table of a page. In a Chinese page, whose name ends in .zh.md, only the numbers.

    Args:
        note: a paragraph below the table.
    Raises InputError: the page cannot be read, has no such table, or has other rows.
    """
    with reraise(OSError, f"{page} cannot be read"):
        text = page.read_text(encoding="utf-8")
    start, end = f"<!-- table: {name} -->\n", "<!-- end -->"
    before, found, rest = text.partition(start)
    old, closed, after = rest.partition(end)
    if not found or not closed:
        raise InputError(f"{page} has no table {name!r}", f"the lines {start.strip()} and {end}")
    if page.name.endswith(".zh.md"):
        grid = _translate(grid, old, page)
    wrapped = textwrap.fill(note, MAX_LINE, break_long_words=False, break_on_hyphens=False)
    new = markdown(grid) + (f"\n{wrapped}\n" if note else "")
    write_atomically(page, f"{before}{start}{new}{end}{after}".encode())


def markdown(grid: Grid) -> str:
    """Return a Markdown table. The first row of the grid is the headings."""
    lines = [grid[0], ["---"] * len(grid[0]), *grid[1:]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _translate(grid: Grid, old: str, page: Path) -> list[list[str]]:
    """Return the old Chinese table with the new numbers."""
    lines = [line.strip("|").split("|") for line in old.splitlines() if line.startswith("|")]
    del lines[1]  # the rule below the headings
    if [len(row) for row in lines] != [len(row) for row in grid]:
        raise InputError(f"{page} has another number of rows or columns than the new table")
    return [
        [_translate_cell(*cells) for cells in zip(row, line, strict=True)]
        for row, line in zip(grid, lines, strict=True)
    ]


def _translate_cell(new: str, old: str) -> str:
    is_number = re.fullmatch(r"[-+]?[\d.]+(e[-+]\d+)?( ± [\d.]+)?( %)?|-", new)
    return new.replace(" %", "%") if is_number else old.strip()
