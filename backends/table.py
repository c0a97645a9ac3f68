"""Table: a registry by name, for activations, layers, losses, optimizers and others."""

from collections.abc import Mapping
from typing import TypeVar

from backends.errors import InputError, short_repr

T = TypeVar("T")


class Table(dict[str, T]):
    """A dict to which ``add`` adds entries.

    Args:
        what: a word for an entry, for messages.
        entries: the first entries.

    >>> table = Table("fruit", {"apple": 1})
    >>> table.add("pear", 2)
    >>> list(table)
    ['apple', 'pear']
    """

    def __init__(self, what: str, entries: Mapping[str, T]) -> None:
        super().__init__(entries)
        self.what = what

    def add(self, name: str, entry: T, overwrite: bool = False) -> None:
        """Add an entry; ``overwrite`` allows an existing name.

        Raises InputError: the name exists already, or is not a nonempty string.
        """
        if not isinstance(name, str) or not name:
            raise InputError(f"{self.what} is named {short_repr(name)}", "a string")
        if name in self and not overwrite:
            raise InputError(f"{self.what} {name!r} exists already", "another name")
        self[name] = entry
