"""Check the names of the arguments in a call."""

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from inspect import Parameter, signature
from typing import Any

from backends.errors import InputError
from dnn.keras_names.table import REPLACEMENTS


class UnsupportedArgument(InputError, TypeError):
    """A function or class lacks an argument that other libraries have."""


def is_ours(kind: type) -> bool:
    """Return whether a class is of this library; classes of users may have further attributes."""
    return kind.__module__.partition(".")[0] == "dnn"


@cache
def arguments_of(callee: Any) -> Mapping[str, Parameter]:
    """Return the parameters of a function or class by name; none of a class without ``__init__``."""
    return {} if callee.__init__ is object.__init__ else signature(callee).parameters


def explain_keywords(callee: Callable[..., Any], keywords: Iterable[str]) -> str:
    """Return what to use for the arguments that a function or class lacks, "" if it has all of them."""
    known = arguments_of(callee)
    missing = [name for name in keywords if name not in known]
    if not missing or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return ""
    cures = REPLACEMENTS["argument"]
    faults = []
    for name in missing:
        others = ", ".join(other for other in known if other != "self")
        close = get_close_matches(name, known, cutoff=0.85)  # else it is more than a typo
        cure = f"did you mean {close[0]}=?" if close else f"leave it out, or use another of {others}"
        cure = cures.get(name, cure)
        cure = cures.get(f"{callee.__name__}.{name}", cure)
        for new_name in REPLACEMENTS["renamed argument"].get(name, "").split():
            if new_name in known:
                cure = f"use {new_name}="
        faults.append(f"{name!r}; {cure}")
    return f"{callee.__name__} has no argument {'; nor '.join(faults)}"


def check_keywords(callee: Callable[..., Any], keywords: Iterable[str]) -> None:
    """Raise UnsupportedArgument if a function or class lacks arguments; it names what to use for each."""
    if fault := explain_keywords(callee, keywords):
        raise UnsupportedArgument(fault)
