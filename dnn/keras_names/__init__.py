"""Names and arguments of Keras and other libraries that do not exist here, and what to use instead.

``table`` and ``aliases`` hold all of them. An unsupported name is an AttributeError, or
an ImportError in ``from dnn import name``, so ``hasattr`` and ``try`` work. An unsupported argument is a
TypeError.

``import dnn as keras`` brings a notice of each of ``DIFFERENCES`` where it is used.
"""

import sys
from collections.abc import Callable, Iterable
from functools import partial, wraps
from inspect import signature
from types import FrameType, ModuleType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from backends.errors import InputError, MissingAttribute
from dnn.io.notices import warn
from dnn.keras_names.aliases import ALIASES
from dnn.keras_names.differences import DIFFERENCES
from dnn.keras_names.table import REPLACEMENTS

P = ParamSpec("P")
T = TypeVar("T")


class UnsupportedArgument(InputError, TypeError):
    """A function or class lacks an argument that other libraries have."""


class UnsupportedName(InputError, ModuleNotFoundError):
    """A module or package lacks a name that other libraries have."""


def missing_attribute(place: str, owner: object, name: str) -> AttributeError:
    """Return the error for an attribute that an object lacks; ``REPLACEMENTS[place]`` may have the cure."""
    kind = type(owner).__name__
    if name in REPLACEMENTS[place]:
        return MissingAttribute(f"a {kind} has no {name}", REPLACEMENTS[place][name])
    return AttributeError(f"{kind!r} object has no attribute {name!r}", name=name, obj=owner)


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
    if home := _home_of(name):
        return f"{module} has no {name}", f"{home}.{name}"
    if name in REPLACEMENTS["module"]:
        return f"{name} is not in this library", REPLACEMENTS["module"][name]
    return None


def _home_of(name: str) -> str | None:
    """Return the module of dnn that has this public name, or None."""
    for module in sorted(sys.modules):
        if f"{module}.".startswith("dnn.") and name in vars(sys.modules[module]).get("__all__", ()):
            return module
    return None


class KerasModules:
    """Import hook for modules that dnn lacks: the error says what to use if the name is known."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> None:
        """Raise UnsupportedName if the name is explained, else return None."""
        module, _, name = fullname.rpartition(".")
        if module.partition(".")[0] == "dnn" and (explanation := _explain(module, name)):
            raise UnsupportedName(*explanation)


def check_keywords(callee: Callable[..., Any], keywords: Iterable[str]) -> None:
    """Raise UnsupportedArgument if a function or class lacks an argument that other libraries have."""
    new_names = REPLACEMENTS["renamed argument"]
    cures = REPLACEMENTS["argument"]
    faults = []
    for name in keywords:
        if name not in new_names and name not in cures:
            continue
        parameters = signature(callee).parameters
        if name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            continue
        cure = cures.get(name, "leave it out: there is nothing like it here")
        cure = cures.get(f"{callee.__name__}.{name}", cure)
        for new_name in new_names.get(name, "").split():
            if new_name in parameters:
                cure = f"use {new_name}="
        faults.append(f"{name!r}; {cure}")
    if faults:
        raise UnsupportedArgument(f"{callee.__name__} has no argument {'; nor '.join(faults)}")


def _keras_frame() -> FrameType | None:
    """Return the frame of the code that called dnn, if it has imported dnn as ``keras``, else None."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith("dnn."):
        frame = frame.f_back
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
    given = {*list(signature(callee).parameters)[: len(arguments)], *keywords}
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


def takes_optimizer_first(compile: Callable[P, T]) -> Callable[P, T]:
    """Decorate ``compile``: one argument without a name beside ``loss=`` is the optimizer, as in Keras."""

    @wraps(compile)
    def sort_and_call(*arguments: P.args, **keywords: P.kwargs) -> T:
        if len(arguments) == 2 and "loss" in keywords and "optimizer" not in keywords:
            keywords["optimizer"] = arguments[1]
            arguments = arguments[:1]  # type: ignore[assignment]
        return compile(*arguments, **keywords)

    return sort_and_call


class ChecksKeywords:
    """Base of classes: an argument that only other libraries have raises UnsupportedArgument."""

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
            raise InputError(f"{cls.__name__} has no {' and no '.join(sorted(lacks))}", expected, cure)
        is_ours = cls.__module__.startswith("dnn.")
        if is_ours and len(arguments) > 1 and isinstance(arguments[1], ChecksKeywords):
            raise InputError(
                f"{cls.__name__} got {len(arguments)} objects", f"one list: {cls.__name__}([...])"
            )


class KerasNames(ChecksKeywords):
    """Base of models: errors for attributes that the models of Keras have."""

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise missing_attribute("model", self, name)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        got = f"a {type(self).__name__} was called like a function"
        raise InputError(got, "model.predict(x), or model.forward(x, training=False) on arrays of the device")


def check_methods(callback: object) -> None:
    """Raise InputError if a callback has a method of Keras that is never called."""
    for start, expected in REPLACEMENTS["callback method"].items():
        for name in dir(callback):
            if name.startswith(start):
                got = f"callback {type(callback).__name__} has {name}, which is never called"
                raise InputError(got, expected)
