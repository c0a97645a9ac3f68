"""Figures that are no experiment's row: a grid of cells under headings, as CSV and as a table."""

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from backends import InputError

Grid = list[list[str]]
NOTHING = "-"
Words = Callable[[str], str]
"""A cell of a table in the page's language."""


def per_cent(accuracy: float) -> str:
    """As a cell."""
    return f"{100 * accuracy:.1f} %"


def share(cell: str) -> float:
    """The number in a cell, in per cent if it is one; NaN where there is none."""
    return float("nan" if cell == NOTHING else cell.removesuffix(" %"))


def markdown(grid: Grid, words: Words = str) -> str:
    """The grid as a table."""
    lines = [grid[0], ["---"] * len(grid[0]), *grid[1:]]
    return "".join("| " + " | ".join(map(words, line)) + " |\n" for line in lines)


def as_csv(grid: Grid) -> str:
    """The same cells as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(grid)
    return text.getvalue()


def read(path: Path) -> Grid:
    """The cells of a CSV file; none if it is not there. Raises InputError: it cannot be read."""
    if not path.exists():
        return []
    try:
        grid = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
        numbers = [[share(cell) for cell in row[1:]] for row in grid[1:]]
        if {len(row) + 1 for row in numbers} != {len(grid[0])}:
            raise ValueError("rows of other lengths")
        return grid
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise InputError(f"figures {path} cannot be read ({error}); choose another folder") from None


def joined(old: Grid, new: Grid) -> Grid:
    """New rows in place of the old ones that begin with the same cell; others of the old stay."""
    if not new or (old and old[0] != new[0]):
        return new or old
    return new[:1] + list({row[0]: row for row in old[1:] + new[1:]}.values())


def in_order(grid: Grid, names: Sequence[str]) -> Grid:
    """The rows as these are ordered that they begin with; others stay as they are."""
    return grid[:1] + sorted(grid[1:], key=lambda row: names.index(row[0]) if row[0] in names else 0)
