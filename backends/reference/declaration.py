"""Declaration of a kernel: the arguments it writes, its kinds and the aliases it allows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

Reference = Callable[..., None]
F = TypeVar("F", bound=Reference)
_ATTRIBUTE = "declaration"  # of a function: its Declaration


@dataclass(frozen=True)
class Declaration:
    """One kernel: its reference function and its properties."""

    function: Reference  # the reference, called with (xp, [kind,] arrays and numbers...)
    writes: tuple[str, ...]  # names of the arguments it writes; the others stay unchanged
    # Returns the current kinds; None: the kernel has no kinds.
    names: Callable[[], Iterable[str]] | None
    aliases: tuple[tuple[str, str], ...]  # pairs (read, written) of arguments that may be the same array

    @property
    def name(self) -> str:
        """The kernel's name: the name of its function."""
        return self.function.__name__

    @property
    def kinds(self) -> tuple[str | None, ...]:
        """The current kinds; (None,) if the kernel has no kinds."""
        return (None,) if self.names is None else tuple(self.names())


def kernel(
    *, writes: tuple[str, ...], kinds: Callable[[], Iterable[str]] | None = None,
    aliases: tuple[tuple[str, str], ...] = (),
) -> Callable[[F], F]:  # fmt: skip
    """Declare that the decorated function is a kernel; arguments as of ``Declaration``.

    >>> @kernel(writes=("y",))
    ... def double(xp, x, y):
    ...     y[...] = 2.0 * x
    >>> double.declaration.name
    'double'
    """

    def declare(function: F) -> F:
        setattr(function, _ATTRIBUTE, Declaration(function, writes, kinds, aliases))
        return function

    return declare


def declarations(module: ModuleType) -> Iterator[Declaration]:
    """Yield the declarations of the kernels that a module defines, in the order of its text."""
    for value in vars(module).values():
        if hasattr(value, _ATTRIBUTE) and value.__module__ == module.__name__:
            yield getattr(value, _ATTRIBUTE)
