"""Choose the function that a backend uses for each kernel.

A backend has a list of *overrides*: faster functions, each for certain dtypes, kinds and devices. The first
override that applies is used, else the reference kernel. Overrides themselves contain no fallback.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, TypeVar

from backends.reference import KERNELS

Kernel = Callable[..., None]
KernelKey = tuple[str, str | None]  # (name, kind); kind is None if the kernel has no kinds
FLOAT_DTYPES = ("float32", "float64")
F = TypeVar("F", bound=Kernel)
_ATTRIBUTE = "overrides"  # of a function: the tuple of its Override objects


@dataclass(frozen=True)
class Override:
    """A faster function for a kernel, with the reference's signature."""

    kernel: str  # the kernel's name
    function: Kernel  # takes (xp, [kind,] arrays...), like the reference
    dtypes: Collection[str] = FLOAT_DTYPES  # names of the float dtypes it supports
    # The kinds it supports; None: all, including kinds added later.
    kinds: Collection[str] | None = None
    # The device types it supports, such as "cpu"; None: all.
    devices: Collection[str] | None = None
    # Whether the library has the functions it calls; evaluated when a Backend is created.
    available: Callable[[], bool] = lambda: True

    def applies_to(self, kernel: str, dtype: str, kind: str | None) -> bool:
        """Whether this override can replace the kernel for this dtype and kind."""
        return kernel == self.kernel and dtype in self.dtypes and (self.kinds is None or kind in self.kinds)


def override(kernel: str | None = None, **limits: Any) -> Callable[[F], F]:
    """Declare that the decorated function overrides a kernel; may be stacked.

    Args:
        kernel: the kernel's name; None: the function's name.
        limits: dtypes, kinds, devices and available, as of ``Override``.
    """

    def declare(function: F) -> F:
        entry = Override(kernel or function.__name__, function, **limits)
        setattr(function, _ATTRIBUTE, (entry, *getattr(function, _ATTRIBUTE, ())))
        return function

    return declare


def by_kind(kernel: str, table: Mapping[str, Kernel]) -> Override:
    """Return an override of ``kernel`` from a table: kind -> function of the arrays alone."""

    def call_kind(xp: Any, kind: str, *arrays: Any) -> None:
        table[kind](*arrays)

    return Override(kernel, call_kind, kinds=table)


def overrides_in(*modules: ModuleType) -> tuple[Override, ...]:
    """Return the overrides that these modules define, in the order of the modules and of their text.

    A function with a kernel's name overrides that kernel without limits. Use ``@override`` for limits or
    another name.
    """

    def module_overrides(module: ModuleType) -> Iterator[Override]:
        for name, value in vars(module).items():
            if isinstance(value, FunctionType) and value.__module__ == module.__name__:
                if name in KERNELS and not hasattr(value, _ATTRIBUTE):
                    yield Override(name, value)
                yield from getattr(value, _ATTRIBUTE, ())

    return tuple(entry for module in modules for entry in module_overrides(module))


def usable_overrides(overrides: Sequence[Override], device: str) -> tuple[Override, ...]:
    """Return the overrides that are available and support this device type.

    Raises KeyError: an override names an unknown kernel.
    """
    unknown = {entry.kernel for entry in overrides} - set(KERNELS)
    if unknown:
        raise KeyError(f"overrides of unknown kernels {sorted(unknown)}; known: {list(KERNELS)}")
    return tuple(o for o in overrides if (o.devices is None or device in o.devices) and o.available())


def find_override(overrides: Sequence[Override], dtype: str, name: str, kind: str | None) -> Override | None:
    """Return the first override that applies; None: use the reference."""
    return next((entry for entry in overrides if entry.applies_to(name, dtype, kind)), None)


def kernel_keys() -> tuple[KernelKey, ...]:
    """Return the (name, kind) of every registered kernel."""
    return tuple((name, kind) for name, declared in KERNELS.items() for kind in declared.kinds)


def bind(xp: Any, function: Kernel, kind: str | None) -> Kernel:
    """Return the function with its namespace and kind bound."""
    return partial(function, xp) if kind is None else partial(function, xp, kind)


def bind_kernel(overrides: Sequence[Override], xp: Any, dtype: str, name: str, kind: str | None) -> Kernel:
    """Return the override or reference of a kernel, with its namespace and kind bound.

    Raises KeyError: unknown kernel or kind.
    """
    declared = KERNELS[name]
    if kind not in declared.kinds:
        raise KeyError(f"kernel {name!r} has no kind {kind!r}; known: {list(declared.kinds)}")
    entry = find_override(overrides, dtype, name, kind)
    return bind(xp, entry.function if entry else declared.function, kind)
