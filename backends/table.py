"""Table: a registry by name, for activations, layers, losses, optimizers and others."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from backends.errors import InputError, short_repr

T = TypeVar("T")


class Table(Mapping[str, T]):
    """A mapping that is read-only except for ``add``.

    Args:
        what: a word for an entry, for messages.
        entries: the first entries.

    >>> table = Table("fruit", {"apple": 1})
    >>> table.add("pear", 2)
    >>> list(table)
    ['apple', 'pear']
    """

    def __init__(self, what: str, entries: Mapping[str, T]) -> None:
        self.what = what
        self._entries = dict(entries)

    def add(self, name: str, entry: T, overwrite: bool = False) -> None:
        """Add an entry; ``overwrite`` allows an existing name.

        Raises InputError: the name exists already, or is not a nonempty string.
        """
        if not isinstance(name, str) or not name:
            raise InputError(f"{self.what} is named {short_repr(name)}", "a string")
        if name in self._entries and not overwrite:
            raise InputError(f"{self.what} {name!r} exists already", "another name")
        self._entries[name] = entry

    def __repr__(self) -> str:
        return f"Table({self.what!r}, {list(self)})"

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
