"""Names and arguments of Keras and other libraries that do not exist here, and what to use instead.

``table`` and ``aliases`` hold all of them. An unsupported name is an AttributeError, or an ImportError in
``from dnn import name``, so ``hasattr`` and ``try`` work. An unsupported argument is a TypeError.

Each InputError also lists the other names and arguments of the program that dnn lacks (``programs``).

``import dnn as keras`` brings a notice of each of ``DIFFERENCES`` where it is used.
"""

import linecache
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import partial, wraps
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from backends.errors import InputError, MissingAttribute, short_repr
from dnn.io.notices import warn
from dnn.keras_names.aliases import ALIASES
from dnn.keras_names.calls import UnsupportedArgument, arguments_of, check_keywords
from dnn.keras_names.calls import is_ours as is_ours
from dnn.keras_names.differences import DIFFERENCES
from dnn.keras_names.names import explain_attribute, explain_call, explain_name
from dnn.keras_names.programs import find_faults
from dnn.keras_names.table import REPLACEMENTS

P = ParamSpec("P")
T = TypeVar("T")


class UnsupportedName(InputError, ModuleNotFoundError):
    """A module or package lacks a name that other libraries have."""


def _calling_frame() -> FrameType | None:
    """Return the frame of the code that called dnn; None if there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package not in ("dnn", "backends", "importlib"):
            break
        frame = frame.f_back
    return frame


def _list_others(error: InputError) -> None:
    """Add a note to an error with the other names and arguments of the calling program that dnn lacks."""
    if (frame := _calling_frame()) is not None:
        program = "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))
        faults = find_faults(program)
        notes = [f"line {line}: {fault}" for fault, line in faults.items() if fault != str(error)]
        if notes:
            error.add_note("\n".join(["The same program also has:", *notes]))


def explain_names(*modules: ModuleType) -> None:
    """Explain names that modules lack, as attributes and in ``from module import name``."""
    for module in modules:
        names = vars(module)
        names["__getattr__"] = partial(_find_name, module)
        # ``from module import name`` drops the text of an AttributeError. In a package, Python then looks for
        # a submodule of this name, and KerasModules raises an error with a text.
        names.setdefault("__path__", [])


def _find_name(module: ModuleType, name: str) -> Any:
    """Return a layer by its alias in Keras. For other names the error says what to use, if that is known."""
    names = vars(module)
    if ALIASES.get(name) in names:
        return names[ALIASES[name]]
    if fault := explain_name(module.__name__, name):
        raise MissingAttribute(fault)
    raise AttributeError(f"{module.__name__} has no attribute {name!r}", name=name, obj=module)


class KerasModules:
    """Import hook for modules that dnn lacks: the error says what to use if the name is known."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        """Raise UnsupportedName if the name is explained, else return None."""
        module, _, name = fullname.rpartition(".")
        if module.partition(".")[0] == "dnn" and (fault := explain_name(module, name)):
            raise UnsupportedName(fault)


def _keras_frame() -> FrameType | None:
    """Return the frame of the code that called dnn, if it has imported dnn as ``keras``, else None."""
    frame = _calling_frame()
    if frame is None:
        return None
    code = frame.f_code
    # f_locals of a function would keep its objects alive, such as a model that it deletes.
    is_local = "keras" in (*code.co_varnames, *code.co_cellvars, *code.co_freevars)
    keras = (frame.f_locals if is_local else frame.f_globals).get("keras")
    return frame if getattr(keras, "__name__", "") == "dnn" else None


def note(key: str) -> None:
    """Log a row of ``DIFFERENCES``, if dnn is imported as keras where it is called.

    Each row is logged once for each module and function that calls. Other keys are ignored.
    """
    if key in DIFFERENCES and (frame := _keras_frame()) is not None:
        noted = frame.f_globals.setdefault("__warningregistry__", {})  # where Python's warnings note theirs
        if (key, frame.f_code) not in noted:
            noted[key, frame.f_code] = True
            warn(f"{key} is {DIFFERENCES[key]}")


def _note_defaults(callee: Callable[..., Any], arguments: tuple[Any, ...], keywords: Iterable[str]) -> None:
    """Call ``note`` for each argument that is left out."""
    if _keras_frame() is None:
        return
    names = {*list(arguments_of(callee))[: len(arguments)], *keywords}
    owners = {owner.__name__ for owner in getattr(callee, "__mro__", (callee,))}
    for key in DIFFERENCES:
        owner, _, argument = key.partition(".")
        if owner in owners and argument not in names:
            note(key)


def checks_keywords(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function: an argument that only other libraries have raises UnsupportedArgument."""

    @wraps(function)
    def check_and_call(*arguments: P.args, **keywords: P.kwargs) -> T:
        check_keywords(function, keywords)
        _note_defaults(function, arguments, keywords)
        return function(*arguments, **keywords)

    return check_and_call


class ChecksKeywords:
    """Base of classes: arguments and attributes that only other libraries have raise an error with a cure."""

    explained_as = ""  # the name of its rows in REPLACEMENTS

    def __new__(cls, *arguments: Any, **keywords: Any) -> Self:
        cls.check_arguments(arguments, keywords)
        _note_defaults(cls, arguments, keywords)
        return super().__new__(cls)

    @classmethod
    def check_arguments(cls, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Raise InputError: a method is missing or never called, or an argument only other libraries have."""
        check_keywords(cls, keywords)
        if lacks := getattr(cls, "__abstractmethods__", ()):
            expected = "forward(self, x, *, training) and backward(self, dy) in place of Keras's call"
            shapes = "parameter_shapes(self), initial_values(self, key) and shape_after(self, input_shape)"
            cure = f"{shapes} are in place of build and add_weight: docs/guide/own-parts.md"
            got = f"{cls.__name__} has no {' and no '.join(sorted(lacks))}"
            raise InputError(got, expected, cure)
        for start, expected in REPLACEMENTS.get(f"{cls.explained_as} method", {}).items():
            if never := [name for name in dir(cls) if name.startswith(start)]:
                raise InputError(f"{cls.__name__} has {never[0]}, which is never called", expected)
        callee: Any = cls
        known = arguments_of(callee).values()
        if not any(p.kind is p.VAR_POSITIONAL for p in known):
            cls.check_positions(arguments, [p.name for p in known if p.kind is not p.KEYWORD_ONLY])

    @classmethod
    def check_positions(cls, arguments: tuple[Any, ...], names: Sequence[str]) -> None:
        """Raise UnsupportedArgument: more arguments without a name than these."""
        n = len(names)
        if len(arguments) <= n:
            return
        got = f"{cls.__name__} got {short_repr(arguments[n])} as argument number {n + 1}"
        if isinstance(arguments[n], ChecksKeywords):
            raise UnsupportedArgument(got, f"one list: {cls.__name__}([...])")
        callee: Any = cls
        others = [f"{name}=" for name in arguments_of(callee) if name not in names]
        cure = f"others are given by name: {', '.join(others)}" if others else ""
        expected = f"at most {n} without a name: {', '.join(names)}" if n else "none"
        raise UnsupportedArgument(got, expected, cure)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if fault := explain_attribute(type(self), name):
                raise MissingAttribute(fault)
            kind = type(self).__name__
            raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)


class Uncallable(ChecksKeywords):
    """Base of classes that other libraries call like functions: the error says what to do instead."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        raise InputError(explain_call(type(self)))


InputError.annotate = _list_others  # type: ignore[assignment, method-assign]
