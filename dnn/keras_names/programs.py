"""Find all names and arguments in a program that this library lacks, so that one error lists them.

The program is read, not run. A variable's class is known where it is assigned the result of a class or a
function of dnn.
"""

import ast
import re
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from pkgutil import resolve_name
from types import ModuleType
from typing import Any

from backends.errors import InputError
from dnn.keras_names.keywords import check_keywords

# Attributes that ``__init__`` sets -> the class of the attribute, or of its elements.
ATTRIBUTES = {
    "layers": "dnn.Dense", "parameters": "dnn.parameters.Parameters", "optimizer": "dnn.Adam",
    "learning_rate": "dnn.Adam",  # its table has the methods of Keras's rate
}  # fmt: skip


class _Reader(ast.NodeVisitor):
    """Visits statements in their order; ``visit`` of an expression returns its value; None: unknown.

    Values are modules, classes and functions of dnn, and objects, made without ``__init__``, whose attributes
    raise the same errors as those of the program.
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.faults: dict[str, int] = {}  # message -> its first line

    def attempt(self, node: Any, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return the result of a function, or what an InputError expects, which is noted. None: unknown."""
        with suppress(Exception):
            try:
                return function(*arguments)
            except InputError as error:
                self.faults.setdefault(str(error), node.lineno)
                path = re.findall(r", expected ([\w.]+)", str(error))[0]
                return resolve_name(f"dnn.{path}".replace("dnn.dnn", "dnn"))

    def visit_ImportFrom(self, node: Any) -> None:
        module = getattr(node, "module", None)
        for name in node.names:
            path = module or name.name
            if path.partition(".")[0] == "dnn":
                value = self.attempt(node, import_module, path if module or name.asname else "dnn")
                if module:
                    value = self.attempt(node, getattr, value, name.name)
                self.names[name.asname or name.name.partition(".")[0]] = value

    visit_Import = visit_ImportFrom

    def visit_Name(self, node: ast.Name) -> Any:
        return self.names.get(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        owner = self.visit(node.value)
        if owner is None:
            return None
        if isinstance(owner, type):
            owner = self.attempt(node, object.__new__, owner)
        if node.attr in ATTRIBUTES and not isinstance(owner, ModuleType):
            return object.__new__(resolve_name(ATTRIBUTES[node.attr]))
        return self.attempt(node, getattr, owner, node.attr)

    def visit_List(self, node: ast.List) -> Any:
        values = [self.visit(value) for value in node.elts]
        return None if None in values[:1] else values

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.visit(node.slice)
        return self.visit(node.value)

    def visit_Call(self, node: ast.Call) -> Any:
        function = self.visit(node.func)
        values = [self.visit(argument) for argument in node.args]
        known = [] if None in values else values
        named = {keyword.arg: self.visit(keyword.value) for keyword in node.keywords if keyword.arg}
        if type(function).__module__.startswith("dnn."):  # an object, which refuses a call
            self.attempt(node, function)
        if hasattr(function, "check_arguments"):
            self.attempt(node, function.check_arguments, known, named)
        else:
            self.attempt(node, check_keywords, function, named)
        is_model = getattr(function, "explained_as", "") == "model"
        if is_model and known == values and "input_shape" not in named:
            self.attempt(node, function, *known)
        if isinstance(function, type):
            return self.attempt(node, object.__new__, function)
        returned = getattr(function, "__annotations__", {}).get("return")
        return self.attempt(node, object.__new__, returned)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.generic_visit(node)
        bases = tuple(filter(None, map(self.visit, node.bases)))
        methods = {getattr(statement, "name", ""): None for statement in node.body}
        if bases:
            made = self.attempt(node, type, node.name, bases, {"__module__": "", **methods})
            self.names[node.name] = made

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            self.names[ast.unparse(target)] = self.visit(node.value)

    def visit_For(self, node: ast.For) -> None:
        self.names[ast.unparse(node.target)] = self.visit(node.iter)
        self.generic_visit(node)


@lru_cache(maxsize=8)
def find_faults(program: str) -> dict[str, int]:
    """Return the message of each fault in a program, with its first line."""
    reader = _Reader()
    with suppress(Exception):
        reader.visit(ast.parse(program))
    return reader.faults
