"""A table of numbers in a CSV file as arrays."""

import csv
import os
import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from backends.errors import InputError, reraise, shorten
from dnn.io.regular_files import open_text
from dnn.validation.settings import look_up, require, require_list, require_path

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
MISSING = ("", "na", "n/a", "#n/a", "nan", "null", "?")  # in lower case
FILL = "leave the line out, or fill the gap, as pandas.DataFrame.fillna or sklearn.impute.SimpleImputer do"
ENCODE = "make numbers of text columns, as pandas.get_dummies or sklearn.preprocessing.OneHotEncoder do"
CORRECT = "write it as 1000, -0.5 or 1e-3"


class Table(NamedTuple):
    """The inputs of each example, and its target."""

    x: NDArray[np.float64]  # (N, columns)
    y: NDArray[np.int64 | np.float64]  # (N,), or (N, targets)
    columns: tuple[str, ...]  # names, of x
    classes: tuple[str, ...]  # names, by number; () where the target holds numbers


class _Column(NamedTuple):
    """One column of a file, with the line that each cell is on."""

    path: Path
    name: str
    cells: Sequence[str]
    lines: Sequence[int]

    def refuse(self, row: int, expected: str, cure: str) -> InputError:
        """Return the error for one cell."""
        cell = shorten(self.cells[row], 40)
        got = f"column {self.name!r} of {self.path} holds {cell!r} on line {self.lines[row]}"
        return InputError(got, expected, cure)

    def numbers(self) -> list[float]:
        """Return the cells as numbers. Raises InputError: one is missing, text, or not a finite number."""
        values = []
        for row, cell in enumerate(self.cells):
            value = float(cell) if NUMBER.fullmatch(cell) else np.nan
            if not isfinite(value):
                raise self.refuse(row, "a finite number", _cure(cell))
            values.append(value)
        return values

    def are_class_names(self) -> bool:
        """Return whether all cells are text.

        Raises InputError: a cell is missing, or only some are numbers. Such a column may be one of numbers
        with a mistake in it, which would silently make classes of all numbers.
        """
        numeric = [_looks_like_a_number(cell) for cell in self.cells]
        for row, cell in enumerate(self.cells):
            if cell.lower() in MISSING:
                raise self.refuse(row, "a number or the name of a class", FILL)
        if all(numeric) or not any(numeric):
            return not any(numeric)
        odd = numeric.index(2 * sum(numeric) < len(numeric))
        expected = "only numbers, or only names of classes"
        raise self.refuse(odd, expected, "write names that are no numbers, such as 'class 3'")


def _looks_like_a_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell) or NOT_FINITE.fullmatch(cell))


def _cure(cell: str) -> str:
    if cell.lower() in MISSING:
        return FILL
    return CORRECT if any(character.isdigit() for character in cell) or NOT_FINITE.fullmatch(cell) else ENCODE


def load_csv(path: str | os.PathLike[str], target: str | Sequence[str], delimiter: str = ",") -> Table:
    """Read a CSV file (UTF-8). Its first line names the columns, the others hold numbers.

    Args:
        target: name of the column to learn, or a list of several, each a column of numbers. A single column
            of whole numbers gives class numbers (or values, for a network with one output), one of text gives
            classes, numbered in the order of their names, and one of other numbers gives values.
        delimiter: the character between two cells.
    Returns: x (N, columns), and y (N,), or (N, targets) for a list.
    Raises InputError: not a regular file, no such column, a line that is too short or too long, or a cell
        that is missing or not a finite number, with its column, its line and a cure.
    """
    path = require_path("path", path)
    targets = [target] if isinstance(target, str) else target
    require_list("target", targets)
    require(len(targets) > 0, "target", target, "the name of a column, or a list of names")
    columns = _read_columns(path, delimiter)
    for name in targets:
        look_up("target", name, columns)
    require(len(set(targets)) == len(targets), "target", target, "each name once")
    names = tuple(name for name in columns if name not in targets)
    x = _matrix([columns[name] for name in names], len(columns[targets[0]].cells))
    if not isinstance(target, str):
        return Table(x, _matrix([columns[name] for name in targets], len(x)), names, ())
    column = columns[target]
    if column.are_class_names():
        classes, numbers = np.unique(column.cells, return_inverse=True)
        return Table(x, numbers.astype(np.int64), names, tuple(classes.tolist()))
    y = np.asarray(column.numbers())
    are_whole = np.abs(y).max() < 2**53 and all(cell.lstrip("+-").isdecimal() for cell in column.cells)
    return Table(x, y.astype(np.int64 if are_whole else np.float64), names, ())


def _read_columns(path: Path, delimiter: str) -> dict[str, _Column]:
    """Return the columns by name. Raises InputError: as ``load_csv``."""
    kinds = OSError, UnicodeError, csv.Error, TypeError, ValueError
    rows = []
    lines = []
    with (
        reraise(kinds, f"{path} cannot be read as a CSV file", "lines of numbers"),
        open_text(path, encoding="utf-8-sig", newline="") as file,
    ):
        reader = csv.reader(file, delimiter=delimiter, skipinitialspace=True)
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
                lines.append(reader.line_num)
        head = rows.pop(0) if rows else []
        if not head:
            raise ValueError("it is empty")
    for row, line in zip(rows, lines[1:], strict=True):
        if len(row) != len(head):
            raise InputError(f"line {line} of {path} has {len(row)} cells, expected {len(head)}")
    if not rows:
        raise InputError(f"{path} begins with {shorten(head)}, and holds no example")
    if len(set(head)) < len(head) or any(map(_looks_like_a_number, head)):
        raise InputError(f"{path} begins with {shorten(head)}, expected another name for each column")
    cells = zip(*rows, strict=True)
    return {name: _Column(path, name, column, lines[1:]) for name, column in zip(head, cells, strict=True)}


def _matrix(columns: Sequence[_Column], rows: int) -> NDArray[np.float64]:
    """Return the numbers of these columns (rows, columns)."""
    values = np.asarray([column.numbers() for column in columns], np.float64)
    return np.ascontiguousarray(values.reshape(len(columns), rows).T)
