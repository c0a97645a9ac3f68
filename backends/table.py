"""Table: things by name, for kernels, activations, layers, losses, optimizers and their counterparts."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from backends.errors import InputError, short_repr

T = TypeVar("T")


class Table(Mapping[str, T]):
    """A mapping that can be added to, and in no other way changed.

    Args:
        what: its entries are, in a word, for messages.
        entries: it starts with.

    >>> table = Table("fruit", {"apple": 1})
    >>> table.add("pear", 2)
    >>> list(table)
    ['apple', 'pear']
    """

    def __init__(self, what: str, entries: Mapping[str, T]) -> None:
        self.what = what
        self._entries = dict(entries)

    def add(self, name: str, entry: T, overwrite: bool = False) -> None:
        """One more entry; with ``overwrite`` in place of one of this name.
        Raises InputError: the name is taken, or no name.
        """
        if not isinstance(name, str) or not name:
            raise InputError(f"{self.what} is named {short_repr(name)}, expected a string")
        if name in self._entries and not overwrite:
            raise InputError(f"{self.what} {name!r} is there already, expected another name")
        self._entries[name] = entry

    def __repr__(self) -> str:
        return f"Table({self.what!r}, {list(self)})"

    def __getitem__(self, name: str) -> T:
        return self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
