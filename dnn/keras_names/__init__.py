"""Names and arguments of Keras and other libraries that do not exist here, and what to use instead.

``table`` and ``aliases`` hold all of them. An unsupported name is an AttributeError, or an ImportError in
``from dnn import name``, so ``hasattr`` and ``try`` work. An unsupported argument is a TypeError.

Each InputError also lists the other names and arguments of the program that dnn lacks (``programs``).

``import dnn as keras`` brings a notice of each of ``DIFFERENCES`` where it is used.
"""

import linecache
import sys
from collections.abc import Callable, Iterable
from functools import partial, wraps
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from backends.errors import InputError, MissingAttribute
from dnn.io.notices import warn
from dnn.keras_names.aliases import ALIASES
from dnn.keras_names.differences import DIFFERENCES
from dnn.keras_names.keywords import arguments_of, check_keywords
from dnn.keras_names.programs import find_faults
from dnn.keras_names.table import REPLACEMENTS

P = ParamSpec("P")
T = TypeVar("T")


class UnsupportedName(InputError, ModuleNotFoundError):
    """A module or package lacks a name that other libraries have."""


def _calling_frame() -> FrameType | None:
    """Return the frame of the code that called dnn; None if there is none, or while a program is read."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = f"{frame.f_globals.get('__name__')}."
        if name == "dnn.keras_names.programs.":
            return None
        if not name.startswith(("dnn.", "backends.", "importlib.")):
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
    if explanation := _explain(module.__name__, name):
        raise MissingAttribute(*explanation)
    raise AttributeError(f"{module.__name__} has no attribute {name!r}", name=name, obj=module)


def _explain(module: str, name: str) -> tuple[str, str] | None:
    """Return what is wrong and what to use for a name that a module lacks, or None for unknown names."""
    if name in REPLACEMENTS["module"]:
        return f"{name} is not in this library", REPLACEMENTS["module"][name]
    if home := _full_name(name):
        return f"{module} has no {name}", home
    return None


def _full_name(name: str) -> str | None:
    """Return the full name of what has this public name in dnn, in upper or lower case; None: nothing."""
    for module in sorted(sys.modules):
        if f"{module}.".startswith("dnn."):
            for public in vars(sys.modules[module]).get("__all__", ()):
                if public.lower() == name.lower():
                    return f"{module}.{public}"
    return None


class KerasModules:
    """Import hook for modules that dnn lacks: the error says what to use if the name is known."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        """Raise UnsupportedName if the name is explained, else return None."""
        module, _, name = fullname.rpartition(".")
        if module.partition(".")[0] == "dnn" and (explanation := _explain(module, name)):
            raise UnsupportedName(*explanation)


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
    given = {*list(arguments_of(callee))[: len(arguments)], *keywords}
    owners = {owner.__name__ for owner in getattr(callee, "__mro__", (callee,))}
    for key in DIFFERENCES:
        owner, _, argument = key.partition(".")
        if owner in owners and argument not in given:
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
        """Raise InputError for layers without a list, and for arguments that only other libraries have."""
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
        is_ours = cls.__module__.startswith("dnn.")
        if is_ours and len(arguments) > 1 and isinstance(arguments[1], ChecksKeywords):
            got = f"{cls.__name__} got {len(arguments)} objects"
            raise InputError(got, f"one list: {cls.__name__}([...])")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            kind = type(self).__name__
            if cure := REPLACEMENTS.get(self.explained_as, {}).get(name):
                raise MissingAttribute(f"a {kind} has no {name}", cure)
            raise AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=self)


class Uncallable(ChecksKeywords):
    """Base of classes that other libraries call like functions: the error says what to do instead."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        got = f"a {type(self).__name__} was called like a function"
        raise InputError(got, REPLACEMENTS[self.explained_as]["()"])


InputError.annotate = _list_others  # type: ignore[assignment, method-assign]
