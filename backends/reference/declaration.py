"""What every kernel and every class of kernels has: a declaration, a check of names, and wrapped copies."""

import difflib
import inspect
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any, Self, TypeVar

Kernel = Callable[..., None]
Wrap = Callable[[str, Kernel], Kernel]
Names = tuple[str, ...]
F = TypeVar("F", bound=Kernel)
_ATTRIBUTE = "declaration"  # of a reference: its Declaration


@dataclass(frozen=True)
class Declaration:
    """Properties of a kernel."""

    arguments: Names  # their names, without self
    writes: Names  # names of the arguments it writes; the others stay unchanged
    aliases: tuple[tuple[str, str], ...]  # pairs (read, written) of arguments that may be the same array


def kernel(*, writes: Names, aliases: tuple[tuple[str, str], ...] = ()) -> Callable[[F], F]:
    """Declare that the decorated method is the reference of a kernel; arguments as of ``Declaration``.

    >>> class Doubling(KernelBase):
    ...     @kernel(writes=("y",))
    ...     def double(self, x, y):
    ...         y[...] = 2.0 * x
    >>> declarations(Doubling)["double"].arguments
    ('x', 'y')
    """

    def declare(function: F) -> F:
        _, *arguments = inspect.signature(function).parameters
        setattr(function, _ATTRIBUTE, Declaration(tuple(arguments), writes, aliases))
        return function

    return declare


class KernelBase:
    """Base of classes of kernels: each public method is the reference of a kernel, or overrides one.

    Args:
        xp: the array namespace.
    Raises TypeError: a subclass has another public method, such as a misspelt override or one with other
        arguments; the message has the nearest kernel.
    """

    is_wrapped = False

    def __init__(self, xp: Any) -> None:
        self.xp = xp

    def __init_subclass__(cls) -> None:
        known = declarations(cls)
        public = {name: value for name, value in vars(cls).items() if callable(value) and name[0] != "_"}
        for name, value in public.items():
            near = name if name in known else difflib.get_close_matches(name, known, 1, 0.0)[0]
            right = f"{near}({', '.join(('self', *known[near].arguments))})"
            if (found := f"{name}({', '.join(inspect.signature(value).parameters)})") != right:
                raise TypeError(f"{cls.__name__}.{found} overrides no kernel, expected {right}")

    @property
    def takes_sparse(self) -> bool:
        """Whether x of a dense layer may be a CSR matrix of SciPy."""
        return False

    def with_wrapper(self, wrap: Wrap) -> Self:
        """Return a copy with ``wrap(name, kernel)`` instead of each kernel; the kernels call one another
        unwrapped.
        """
        other = copy(self)
        for name in declarations(type(self)):
            setattr(other, name, wrap(name, getattr(self, name)))
        other.is_wrapped = True
        return other


def declarations(kernels: type[KernelBase]) -> dict[str, Declaration]:
    """Return kernel name -> declaration, for all kernels of a class."""
    return {
        name: getattr(value, _ATTRIBUTE)
        for base in kernels.__mro__
        for name, value in vars(base).items()
        if hasattr(value, _ATTRIBUTE)
    }


def overrides(kernels: type[KernelBase]) -> Names:
    """Return the names of the kernels that are not references."""
    return tuple(name for name in declarations(kernels) if not hasattr(getattr(kernels, name), _ATTRIBUTE))
