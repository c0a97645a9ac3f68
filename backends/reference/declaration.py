"""What a kernel says of itself, beside its formula: what it writes, and the kinds it is bound for."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

Reference = Callable[..., None]
F = TypeVar("F", bound=Reference)
_DECLARED = "declaration"  # the attribute of a function that holds it


@dataclass(frozen=True)
class Declaration:
    """One kernel."""

    function: Reference  # its reference, called with (xp, [kind,] arrays and numbers...)
    writes: tuple[str, ...]  # names of the arguments that it writes; it leaves all others as they were
    # Returns the kinds that there are now; None: the kernel has no kinds.
    names: Callable[[], Iterable[str]] | None
    aliases: tuple[tuple[str, str], ...]  # pairs (read, written) of arguments that may be one array

    @property
    def name(self) -> str:
        """The kernel's name, which is its function's."""
        return self.function.__name__

    @property
    def kinds(self) -> tuple[str | None, ...]:
        """The kinds that there are now; (None,) of a kernel without."""
        return (None,) if self.names is None else tuple(self.names())


def kernel(
    *, writes: tuple[str, ...], kinds: Callable[[], Iterable[str]] | None = None,
    aliases: tuple[tuple[str, str], ...] = (),
) -> Callable[[F], F]:  # fmt: skip
    """Declare the decorated function a kernel; the arguments are those of ``Declaration``.

    >>> @kernel(writes=("y",))
    ... def double(xp, x, y):
    ...     y[...] = 2.0 * x
    >>> double.declaration.name
    'double'
    """

    def declare(function: F) -> F:
        setattr(function, _DECLARED, Declaration(function, writes, kinds, aliases))
        return function

    return declare


def declarations(module: ModuleType) -> Iterator[Declaration]:
    """Those of the kernels that a module defines, in the order of its text."""
    for value in vars(module).values():
        if hasattr(value, _DECLARED) and value.__module__ == module.__name__:
            yield getattr(value, _DECLARED)
