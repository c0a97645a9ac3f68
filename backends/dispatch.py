"""Which function stands for which kernel on a backend.

A backend has *overrides*. Each says for which dtypes, kinds and devices it holds; the dispatcher, never the
override, falls back to the next one that holds, and at last to the reference.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from backends.reference import KERNELS

Kernel = Callable[..., None]
KernelKey = tuple[str, str | None]  # (name, kind); the kind is None where a kernel has none
FLOAT_DTYPES = ("float32", "float64")
F = TypeVar("F", bound=Kernel)
_DECLARED = "overrides"  # the attribute of a function that holds what it overrides


@dataclass(frozen=True)
class Override:
    """A faster function for a kernel, with the reference's signature."""

    kernel: str  # its name
    function: Kernel  # takes (xp, [kind,] arrays...) exactly as the reference does
    dtypes: Collection[str] = FLOAT_DTYPES  # names of the float dtypes for which it holds
    # The kinds for which it holds; None: all, also those that are added later.
    kinds: Collection[str] | None = None
    # Types of device on which it holds, such as "cpu"; None: all of the backend's.
    devices: Collection[str] | None = None
    # Whether the library has what it calls; asked when a Backend is made.
    available: Callable[[], bool] = lambda: True

    def applies_to(self, kernel: str, dtype: str, kind: str | None) -> bool:
        """Whether it may stand for this kernel at this dtype and kind."""
        return kernel == self.kernel and dtype in self.dtypes and (self.kinds is None or kind in self.kinds)


def override(kernel: str | None = None, **limits: Any) -> Callable[[F], F]:
    """State what the decorated function overrides, and where it holds; once for each kernel or device.

    Args:
        kernel: None: the one of the function's name.
        limits: ``Override``'s dtypes, kinds, devices and available.
    """

    def declare(function: F) -> F:
        made = Override(kernel or function.__name__, function, **limits)
        setattr(function, _DECLARED, (made, *getattr(function, _DECLARED, ())))
        return function

    return declare


def by_kind(kernel: str, table: Mapping[str, Kernel]) -> Override:
    """One function of the arrays for each kind that the table has."""

    def chosen(xp: Any, kind: str, *arrays: Any) -> None:
        table[kind](*arrays)

    return Override(kernel, chosen, kinds=table)


def overrides_in(*modules: ModuleType) -> tuple[Override, ...]:
    """What the functions of these modules override, first choice first: in the order of modules and text.

    A function that is named as a kernel is its override everywhere; ``@override`` states anything else.
    """

    def found(module: ModuleType) -> Iterator[Override]:
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                if name in KERNELS and not hasattr(value, _DECLARED):
                    yield Override(name, value)
                yield from getattr(value, _DECLARED, ())

    return tuple(made for module in modules for made in found(module))


def usable_overrides(overrides: Sequence[Override], device: str) -> tuple[Override, ...]:
    """Those that hold on this type of device and find what they call.

    Raises KeyError: an override of a kernel that does not exist.
    """
    unknown = {made.kernel for made in overrides} - set(KERNELS)
    if unknown:
        raise KeyError(f"overrides of unknown kernels {sorted(unknown)}; known: {list(KERNELS)}")
    return tuple(o for o in overrides if (o.devices is None or device in o.devices) and o.available())


def find_override(overrides: Sequence[Override], dtype: str, name: str, kind: str | None) -> Override | None:
    """The first override that holds; None: the reference is to be taken."""
    return next((made for made in overrides if made.applies_to(name, dtype, kind)), None)


def kernel_keys() -> tuple[KernelKey, ...]:
    """Every (name, kind) that there is now."""
    return tuple((name, kind) for name, declared in KERNELS.items() for kind in declared.kinds)


def bind(xp: Any, function: Kernel, kind: str | None) -> Kernel:
    """The function with its namespace and kind filled in."""
    return partial(function, xp) if kind is None else partial(function, xp, kind)


def bind_kernel(overrides: Sequence[Override], xp: Any, dtype: str, name: str, kind: str | None) -> Kernel:
    """The function that stands for a kernel, its namespace and kind filled in.

    Raises KeyError: there is no such kernel, or it has no such kind.
    """
    declared = KERNELS[name]
    if kind not in declared.kinds:
        raise KeyError(f"kernel {name!r} has no kind {kind!r}; known: {list(declared.kinds)}")
    made = find_override(overrides, dtype, name, kind)
    return bind(xp, made.function if made else declared.function, kind)
