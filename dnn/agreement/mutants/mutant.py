"""What a mutant is: NumPy with one mistake. Each must be rejected, or the bounds prove nothing."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from backends import Backend, get_backend
from backends.dispatch import Kernel
from dnn.agreement.mutants.changes import Change
from dnn.agreement.ours import BackendContender


@dataclass(frozen=True)
class Mutant:
    """A mistake and the functions that have it.

    Functions are named "KERNEL" or "KERNEL KIND", "xp.FUNCTION" (of the backend's namespace),
    "backend.METHOD", or "dnn.MODULE.NAME", which all backends and the oracle share.
    """

    mistake: str  # in one line
    level: str  # the first level of ``agree.py --quick`` that rejects it
    changes: Mapping[str, Change]  # name of a function -> how it is changed

    def mutate(self, backend: Backend) -> Backend:
        """Return the backend with the changed kernels, namespace functions and methods."""

        def wrap(name: str, kind: str | None, kernel: Kernel) -> Kernel:
            change = self.changes.get(name) or self.changes.get(f"{name} {kind}")
            return change(kernel) if change else kernel

        space = SimpleNamespace(**vars(backend.xp))
        wrong = replace(backend, xp=space).wrapped(wrap)
        for owner, prefix in ((space, "xp."), (wrong, "backend.")):
            for part in (p.removeprefix(prefix) for p in self.changes if p.startswith(prefix)):
                changed = self.changes[prefix + part](getattr(owner, part))
                object.__setattr__(owner, part, changed)  # a Backend is frozen
        return wrong


class MutantContender(BackendContender):
    """The contender "numpy!NAME"."""

    def __init__(self, name: str, mutant: Mutant) -> None:
        super().__init__(f"numpy!{name}", lambda dtype: mutant.mutate(get_backend("numpy", dtype=dtype)))
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
