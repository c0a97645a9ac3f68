"""Mutant: the NumPy backend with one deliberate mistake, which the check must reject.

A ``Change`` takes the right function and returns a wrong one. A wrong function may remember earlier calls;
applying the Change again starts with an empty memory.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import count, cycle
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from backends import Backend, get_backend
from backends.reference.declaration import Kernel
from dnn.agreement.ours import BackendContender

Function = Callable[..., Any]
Change = Callable[[Function], Function]


class Mutant:
    """A mistake and the functions that it changes.

    Args:
        mistake: one-line description.
        level: the level of ``agree.py --quick`` that must reject it.
        functions: comma-separated names: "KERNEL", "xp.FUNCTION" (of the backend's namespace),
            "backend.METHOD", or "dnn.MODULE.NAME", which all backends and the oracle share.
        changes: one Change for each function, or one for all.
    """

    def __init__(self, name: str, mistake: str, level: str, functions: str, *changes: Change) -> None:
        self.name = name
        self.mistake = mistake
        self.level = level
        self.changes: Mapping[str, Change] = dict(zip(functions.split(","), cycle(changes), strict=False))

    def mutate(self, backend: Backend) -> Backend:
        """Return the backend with the changed kernels, namespace functions and methods."""

        def wrap(name: str, kernel: Kernel) -> Kernel:
            return self.changes[name](kernel) if name in self.changes else kernel

        space = SimpleNamespace(**vars(backend.xp))
        wrong = replace(backend, xp=space).with_wrapper(wrap)
        for owner, prefix in ((space, "xp."), (wrong, "backend.")):
            for part in (p.removeprefix(prefix) for p in self.changes if p.startswith(prefix)):
                changed = self.changes[prefix + part](getattr(owner, part))
                object.__setattr__(owner, part, changed)  # a Backend is frozen
        return wrong


class MutantContender(BackendContender):
    """The contender "numpy!NAME"."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(
            f"numpy!{mutant.name}", lambda dtype: mutant.mutate(get_backend("numpy", dtype=dtype))
        )
        self.mutant = mutant

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "mistake": self.mutant.mistake, "rejected_by": self.mutant.level}

    @contextmanager
    def shared_mistake(self) -> Iterator[None]:
        """Change the functions that all backends share, inside the with block."""
        with ExitStack() as stack:
            for part, change in self.mutant.changes.items():
                if part.startswith("dnn."):
                    stack.enter_context(patch(part, change(resolve_name(part))))
            yield


def wrap_call(wrong: Function) -> Change:
    """Call ``wrong(right, *arguments)`` in place of ``right(*arguments)``."""

    def change(right: Function) -> Function:
        return lambda *arguments, **options: wrong(right, *arguments, **options)

    return change


def edit_arguments(edit: Function, *positions: int) -> Change:
    """Call the right function with ``edit(argument)`` in place of the arguments at these positions."""

    def wrong(right: Function, *arguments: Any, **options: Any) -> Any:
        return right(*(edit(a) if i in positions else a for i, a in enumerate(arguments)), **options)

    return wrap_call(wrong)


def edit_argument(position: int, edit: Function) -> Change:
    """Call the right function with ``edit(argument)`` in place of the argument at this position."""
    return edit_arguments(edit, position)


def edit_after(edit: Function) -> Change:
    """Call the right function, and then ``edit(*arguments)``, which writes into the arguments."""

    def wrong(right: Function, *arguments: Any, **options: Any) -> None:
        right(*arguments, **options)
        edit(*arguments)

    return wrap_call(wrong)


def restore_view(view: Function) -> Change:
    """Call the right function, and then restore the old values of ``view(*arguments)``, a view of an
    argument.
    """

    def wrong(right: Function, *arguments: Any) -> None:
        array = view(*arguments)
        old = array.copy()
        right(*arguments)
        array[...] = old

    return wrap_call(wrong)


def on_late_calls(change: Change) -> Change:
    """Call the changed function from the 1001st call on."""

    def make(right: Function) -> Function:
        wrong = change(right)
        numbers = count(1)
        return lambda *arguments: (wrong if next(numbers) > 1000 else right)(*arguments)

    return make
