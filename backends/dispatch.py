"""Which function stands for which kernel: chosen once, when a Backend is made.

A backend declares *overrides*. Each says for which dtypes and kinds it holds; the dispatcher, never the
override, falls back to the reference for everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from backends.reference import KERNELS

Kernel = Callable[..., None]
KernelKey = tuple[str, str | None]  # (name, kind); the kind is None where a kernel has none
FLOATS = ("float32", "float64")


@dataclass(frozen=True)
class Override:
    """A faster function for the kernel of the same name, with the reference's signature.

    Args:
        function: takes (xp, [kind,] arrays...) exactly as the reference does.
        dtypes: names of the float dtypes for which it holds.
        kinds: the kinds for which it holds; None: all that the kernel has.
        otherwise: is asked where this one does not hold, before the reference.
    """

    function: Kernel
    dtypes: tuple[str, ...] = FLOATS
    kinds: tuple[str, ...] | None = None
    otherwise: Override | None = None

    def at(self, dtype: str, kind: str | None) -> Kernel | None:
        """The function that stands for the kernel at this dtype and kind; None: its reference."""
        if dtype in self.dtypes and (kind is None or self.kinds is None or kind in self.kinds):
            return self.function
        return self.otherwise.at(dtype, kind) if self.otherwise else None


def kernel_keys() -> tuple[KernelKey, ...]:
    """Every (name, kind) that a backend binds."""
    return tuple((name, kind) for name, (_, kinds) in KERNELS.items() for kind in (kinds or (None,)))


def bind(xp: Any, function: Kernel, kind: str | None) -> Kernel:
    """The function with its namespace and kind filled in."""
    return partial(function, xp) if kind is None else partial(function, xp, kind)


def bind_kernels(
    xp: Any, dtype: str, overrides: Mapping[str, Override], fused: bool
) -> tuple[Mapping[KernelKey, Kernel], tuple[KernelKey, ...]]:
    """All kernels for one backend, and the keys of those that are overrides.

    Raises:
        KeyError: an override of a kernel that does not exist.
    """
    unknown = set(overrides) - set(KERNELS)
    if unknown:
        raise KeyError(f"overrides of unknown kernels {sorted(unknown)}; known: {list(KERNELS)}")
    bound: dict[KernelKey, Kernel] = {}
    overridden: list[KernelKey] = []
    for name, kind in kernel_keys():
        override = overrides.get(name) if fused else None
        function = override.at(dtype, kind) if override else None
        bound[name, kind] = bind(xp, function or KERNELS[name][0], kind)
        if function:
            overridden.append((name, kind))
    return MappingProxyType(bound), tuple(overridden)
