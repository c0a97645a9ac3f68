"""Read a CSV file of numbers into arrays."""

import csv
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np

from backends.errors import InputError, reraise, short_repr, shorten
from dnn.io.regular_files import open_text
from dnn.validation.settings import look_up, require, require_list, require_path

MAX_LINE = 1 << 24
MISSING_CELLS = ("", "na", "n/a", "#n/a", "nan", "null", "?")  # in lower case
FILL_CURE = "remove the line, or fill the gap with pandas.DataFrame.fillna or sklearn.impute.SimpleImputer"
ENCODE_CURE = (
    "encode text columns one-hot, as pandas.get_dummies(table, dtype=int) of all data does, or leave them "
    "out with columns=[...]"
)
CORRECT_CURE = "write it as 1000, -0.5 or 1e-3"
DATE_CURE = "write dates as numbers, such as days since 2000-01-01, or leave them out with columns=[...]"
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}")
COMMA = re.compile(r"[+-]?\d+,\d+")
DELIMITERS = ",;\t|"


class Table(NamedTuple):
    """Inputs and targets of N examples."""

    x: np.ndarray  # (N, columns) float64
    y: np.ndarray  # (N,) int64 or float64, or (N, targets) float64
    columns: tuple[str, ...]  # names of the columns of x
    classes: tuple[str, ...]  # class names by number; () if the target is numeric
    lines: np.ndarray  # (N,) int64, line of the file of each example


class _Column(NamedTuple):
    """One column of a file, with each cell's line number."""

    path: Path
    name: str
    cells: Sequence[str]
    lines: Sequence[int]

    def cell_error(self, row: int, expected: str, cure: str) -> InputError:
        """Return the error for one cell."""
        cell = shorten(self.cells[row], 40)
        got = f"column {self.name!r} of {self.path} holds {cell!r} on line {self.lines[row]}"
        return InputError(got, expected, cure)

    def numbers(self) -> list[float]:
        """Return the cells as numbers. Raises InputError: one is missing, text, or not a finite number."""
        values = []
        for row, cell in enumerate(self.cells):
            value = _parse_number(cell)
            if value is None or not isfinite(value):
                raise self.cell_error(row, "a finite number", _cure(cell))
            values.append(value)
        return values

    def are_class_names(self) -> bool:
        """Return whether all cells are text.

        Raises InputError: a cell is missing, a date or a number with a comma, or only some cells are
        numbers. A typo in a numeric column would otherwise silently turn all its numbers into classes.
        """
        numeric = [_parse_number(cell) is not None for cell in self.cells]
        for row, cell in enumerate(self.cells):
            if (cure := _cure(cell)) in (FILL_CURE, DATE_CURE, CORRECT_CURE):
                raise self.cell_error(row, "a number or the name of a class", cure)
        if all(numeric) or not any(numeric):
            return not any(numeric)
        odd = numeric.index(2 * sum(numeric) < len(numeric))
        expected = "only numbers, or only class names"
        raise self.cell_error(odd, expected, "use names that are not numbers, such as 'class 3'")


def _parse_number(cell: str) -> float | None:
    """Return the number, which may be NaN or infinite; None: it is text."""
    if "_" in cell or not cell.isascii():  # Python accepts 1_000 and the digits of all scripts
        return None
    with suppress(ValueError):
        return float(cell)
    return None


def _cure(cell: str) -> str:
    """Return what to do about a cell that is not a number."""
    if cell.lower() in MISSING_CELLS:
        return FILL_CURE
    if DATE.match(cell):
        return DATE_CURE
    return CORRECT_CURE if COMMA.fullmatch(cell) else f"{CORRECT_CURE}, or {ENCODE_CURE}"


def load_csv(
    path: str | os.PathLike[str], target: str | Sequence[str], delimiter: str = ",",
    columns: Sequence[str] | None = None,
) -> Table:  # fmt: skip
    """Read a CSV file (UTF-8). Its first line names the columns, the other lines hold numbers.

    Args:
        target: name of the target column, or a list of numeric target columns. A single column of integers
            gives class numbers (or values, for a network with one output), a column of text gives classes,
            numbered in alphabetical order, and other numbers give values.
        delimiter: the character between two cells.
        columns: names of the columns of x, in this order; the others may hold anything. The target may be
            among them and is not an input. None: all columns but the target.
    Returns: x (N, columns), and y (N,), or (N, targets) for a list. ``lines[i]`` is the line of example i.
    Raises InputError: not a regular file, no such column, a line with too few or too many cells, or a cell
        that is missing or not a finite number. The message names the column and the line.
    """
    path = require_path("path", path)
    targets = [target] if isinstance(target, str) else target
    require_list("target", targets)
    known = _read_columns(path, delimiter, targets)
    _require_names("target", targets, known)
    chosen = list(known) if columns is None else columns
    _require_names("columns", chosen, known)
    names = tuple(name for name in chosen if name not in targets)
    if columns is None and "" in names:  # pandas writes the index of a DataFrame so
        cure = f"leave it out with columns={[name for name in names if name]}"
        raise InputError(f"{path} has a column without a name", "a name for each column", cure)
    column = known[targets[0]]
    x = _matrix([known[name] for name in names], len(column.cells))
    lines = np.asarray(column.lines, np.int64)
    classes: Sequence[str] = ()
    if not isinstance(target, str):
        y = _matrix([known[name] for name in targets], len(x))
    elif column.are_class_names():
        found, y = np.unique(column.cells, return_inverse=True)
        classes = found.tolist()
    else:
        y = np.asarray(column.numbers())
        if np.abs(y).max() < 2**53 and all(cell.lstrip("+-").isdecimal() for cell in column.cells):
            y = y.astype(np.int64)
    return Table(x, y, names, tuple(classes), lines)


def _require_names(argument: str, names: Sequence[str], known: Mapping[str, _Column]) -> None:
    """Raise InputError unless this is a list of different names of known columns."""
    require_list(argument, names)
    require(len(names) > 0, argument, names, "the name of a column, or a list of names")
    for name in names:
        look_up(argument, name, known)
    require(len(set(names)) == len(names), argument, names, "each name once")


def _bounded_lines(file: TextIO) -> Iterator[str]:
    """Yield the lines of a file. Raises ValueError: one is too long to be a line of numbers."""
    while line := file.readline(MAX_LINE):
        if len(line) == MAX_LINE:
            raise ValueError(f"a line has more than {MAX_LINE} characters")
        yield line


def _read_columns(path: Path, delimiter: str, targets: Sequence[str]) -> dict[str, _Column]:
    """Return the columns by name. Raises InputError: as ``load_csv``."""
    kinds = OSError, UnicodeError, csv.Error, TypeError, ValueError
    rows = []
    lines = []
    with (
        reraise(kinds, f"{path} cannot be read as a CSV file", "a table in UTF-8 (Excel: CSV UTF-8)"),
        open_text(path, encoding="utf-8-sig", newline="") as file,
    ):
        reader = csv.reader(_bounded_lines(file), delimiter=delimiter, skipinitialspace=True)
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
        head = rows.pop(0) if rows else []
        if not head:
            raise ValueError("it is empty")
    first = delimiter.join(head)
    frequent = max(DELIMITERS, key=first.count)
    missing = any(isinstance(name, str) and name not in head for name in targets)
    if missing and first.count(frequent) > first.count(delimiter):
        got = f"{path} begins with {short_repr(first)}"
        raise InputError(got, f"cells separated by {delimiter!r}", f"use delimiter={frequent!r}")
    for row, line in zip(rows, lines[1:], strict=True):
        if len(row) != len(head):
            expected = f"{len(head)} as in its first line {shorten(head)}"
            raise InputError(f"line {line} of {path} has {len(row)} cells", expected)
    if not rows:
        raise InputError(f"{path} has the header {shorten(head)} and no examples", "at least one line")
    if len(set(head)) < len(head) or any(_parse_number(name) is not None for name in head):
        got = f"{path} begins with {shorten(head)}"
        expected = "a different name for each column, none of them a number"
        raise InputError(got, expected, "name the columns in the first line")
    cells = zip(*rows, strict=True)
    return {name: _Column(path, name, column, lines[1:]) for name, column in zip(head, cells, strict=True)}


def _matrix(columns: Sequence[_Column], rows: int) -> np.ndarray:
    """Return the numbers of these columns (rows, columns)."""
    values = np.asarray([column.numbers() for column in columns], np.float64)
    return np.ascontiguousarray(values.reshape(len(columns), rows).T)
