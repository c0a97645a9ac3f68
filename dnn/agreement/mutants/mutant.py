"""Mutant: the NumPy backend with one deliberate mistake in the source of a function.

The mistake is some text of the function and its replacement, as in a patch. The check must reject it.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from inspect import getclosurevars, getsource
from itertools import count
from pkgutil import resolve_name
from textwrap import dedent
from types import CodeType, FunctionType
from typing import Any, NamedTuple

from backends import Backend, get_backend
from backends.claims import finally_call, nested
from backends.reference.declaration import Kernel
from dnn.agreement.contenders.ours import BackendContender
from dnn.agreement.mutants import helpers

Function = Callable[..., Any]


class Mutant(NamedTuple):
    """A mistake and the functions that contain it."""

    name: str
    # Comma-separated: kernels of NumPy, "run_plan" (of ``helpers``), or dotted names of functions that all
    # backends and the oracle share.
    functions: str
    edits: Mapping[str, str]  # text -> its replacement in each of the functions that contain it
    level: str = "L4"  # of ``agree.py --quick`` that must reject it, or "bits"

    @property
    def names(self) -> list[str]:
        return self.functions.split(",")

    def edit_code(self, function: Function) -> CodeType:
        """Return the code of a function with the mistake, if the function contains the text."""
        source = dedent(getsource(function))
        for text, replacement in self.edits.items():
            source = source.replace(text, replacement)
        # Outside of a class, super() has no arguments to take.
        file = compile(source.replace("super()", "super(__class__, self)"), self.name, "exec")
        return next(code for code in file.co_consts if isinstance(code, CodeType))

    def edit(self, function: Function) -> Function:
        """Return a copy of the function with the mistake.

        Replacements may use the names in ``helpers``, and this copy's counter ``calls`` and dict ``seen``.
        """
        around = {**function.__globals__, **getclosurevars(function).nonlocals}  # also ``__class__``
        scope = {**vars(helpers), **around, "calls": count(), "seen": {}}
        return FunctionType(self.edit_code(function), scope, None, function.__defaults__)

    def mutate(self, backend: Backend) -> Backend:
        """Return the backend with the mistake in its kernels or its plans."""

        def wrap(name: str, kernel: Kernel) -> Kernel:
            if name not in self.names:
                return kernel
            return partial(self.edit(kernel.__func__), kernel.__self__)  # type: ignore[attr-defined]

        wrong = backend.with_wrapper(wrap)
        if "run_plan" in self.names:  # a Backend is frozen
            object.__setattr__(wrong, "compile_plan", partial(self.edit(helpers.run_plan), wrong))
        return wrong


def parse_mutants(text: str) -> list[Mutant]:
    """Return the mutants of a text, as in a patch.

    An entry is a line "NAME LEVEL FUNCTIONS", the mistake in words, and edits: a line "- TEXT" and lines
    "+ REPLACEMENT". An empty line ends it.
    """
    found = []
    for entry in text.strip().split("\n\n"):
        head, *changes = entry.split("\n- ")
        name, level, functions = head.split()[:3]
        edits = [change.split("\n+ ") for change in changes]
        replacements = {old: "\n    ".join(new) for old, *new in edits}
        found.append(Mutant(name, functions, replacements, level))
    return found


class MutantContender(BackendContender):
    """The contender "numpy!NAME"."""

    def __init__(self, mutant: Mutant) -> None:
        super().__init__(
            f"numpy!{mutant.name}", lambda dtype: mutant.mutate(get_backend("numpy", dtype=dtype))
        )
        self.mutant = mutant

    @contextmanager
    def shared_mistake(self) -> Iterator[None]:
        """Change the functions that all backends share, inside the with block."""
        shared = [resolve_name(name) for name in self.mutant.names if "." in name]
        with nested([finally_call(partial(setattr, f, "__code__", f.__code__)) for f in shared]):
            for function in shared:
                function.__code__ = self.mutant.edit_code(function)
            yield
