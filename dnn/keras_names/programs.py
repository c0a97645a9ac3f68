"""Find the names and arguments in a program that this library lacks, so that one error lists them.

The program is read, not run. Known are the modules, classes and functions of dnn that it imports, and
variables that are assigned an object of such a class or the result of such a function.
"""

import ast
import sys
from contextlib import suppress
from functools import lru_cache
from importlib.machinery import PathFinder
from types import ModuleType
from typing import Any, NamedTuple

from dnn.keras_names.calls import explain_keywords
from dnn.keras_names.names import explain_attribute, explain_call, explain_name


def _lacks(module: ModuleType, name: str) -> bool:
    """Return whether a module has neither this attribute nor a submodule of this name."""
    path = f"{module.__name__}.{name}"
    return name not in vars(module) and not PathFinder.find_spec(path, getattr(module, "__path__", []))


class Made(NamedTuple):
    """An object that a program makes."""

    kind: Any  # its class


class _Reader(ast.NodeVisitor):
    """Visits statements in their order; ``visit`` of an expression returns its value; None: unknown."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.faults: dict[str, int] = {}  # message -> its first line

    def note(self, node: Any, fault: str) -> None:
        if fault:
            self.faults.setdefault(fault, node.lineno)

    def module(self, node: Any, path: str) -> Any:
        """Return a module of dnn that is imported; None for others."""
        if path.partition(".")[0] != "dnn":
            return None
        parent, _, name = path.rpartition(".")
        self.attribute(node, sys.modules.get(parent), name)
        return sys.modules.get(path)

    def attribute(self, node: Any, owner: Any, name: str) -> Any:
        """Return an attribute of a module, or of the class of an object; None: unknown."""
        if isinstance(owner, Made):
            self.note(node, explain_attribute(owner.kind, name))
            return getattr(owner.kind, name, None)
        if isinstance(owner, ModuleType) and _lacks(owner, name):
            self.note(node, explain_name(owner.__name__, name))
        return vars(owner).get(name) if isinstance(owner, ModuleType) else None

    def visit_Import(self, node: ast.Import) -> None:
        for name in node.names:
            module = self.module(node, name.name)
            root = name.name.partition(".")[0]
            self.names[name.asname or root] = module if name.asname else self.module(node, root)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        owner = self.module(node, node.module or "")
        for name in node.names:
            self.names[name.asname or name.name] = self.attribute(node, owner, name.name)

    def visit_Name(self, node: ast.Name) -> Any:
        return self.names.get(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        return self.attribute(node, self.visit(node.value), node.attr)

    def visit_Call(self, node: ast.Call) -> Any:
        function = self.visit(node.func)
        for argument in (*node.args, *node.keywords):
            self.visit(argument)
        if isinstance(function, Made):
            self.note(node, explain_call(function.kind))
        if not callable(function):
            return None
        self.note(node, explain_keywords(function, [k.arg for k in node.keywords if k.arg]))
        returned = getattr(function, "__annotations__", {}).get("return")
        kind = function if isinstance(function, type) else returned
        return Made(kind) if isinstance(kind, type) else None

    def visit_Assign(self, node: ast.Assign) -> None:
        value = self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            self.names[ast.unparse(target)] = value


@lru_cache(maxsize=8)
def find_faults(program: str) -> dict[str, int]:
    """Return the message of each fault in a program, with its first line."""
    reader = _Reader()
    with suppress(Exception):
        reader.visit(ast.parse(program))
    return reader.faults
