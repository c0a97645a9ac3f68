"""One way to look a name up in a table, and to say what the table holds when it is not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import TypeVar

from backends import InputError
from backends.errors import brief

T = TypeVar("T")


def look_up(argument: str, name: str, table: Mapping[str, T]) -> T:
    """``table[name]``.

    Raises:
        InputError: naming the argument, what it is, what is expected, and the nearest name.
    """
    if isinstance(name, str) and name in table:
        return table[name]
    close = difflib.get_close_matches(brief(name).lower(), list(table), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise InputError(f"{argument} is {brief(repr(name))}, expected one of {', '.join(table)}{hint}")


def snake_case(name: str) -> str:
    """A class's name as layers are named.

    >>> snake_case("MaxPooling2D")
    'max_pooling2d'
    """
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
