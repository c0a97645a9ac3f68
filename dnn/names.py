"""Names: looked up in tables, with what the table holds when they are not there; and those of layers."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

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


def is_text(name: object) -> bool:
    """Whether it is a string of printable characters: they fit into a line and into a file."""
    return isinstance(name, str) and name.isprintable()


def layer_names(layers: Sequence[Any]) -> list[str]:
    """A model's layers by name: each its own, else its kind and how many of that kind there are so far.

    Raises:
        InputError: two have the same.
    """
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        kind = snake_case(type(layer).__name__)
        counts[kind] += 1
        names.append(layer.name or f"{kind}_{counts[kind]}")
    if len(set(names)) < len(names):
        raise InputError(f"layers are named {names}, expected each name once")
    return names


def snake_case(name: str) -> str:
    """A class's name as layers are named.

    >>> snake_case("MaxPooling2D")
    'max_pooling2d'
    """
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
