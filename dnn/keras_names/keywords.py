"""Check the names of the arguments in a call."""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from inspect import Parameter, signature
from typing import Any

from backends.errors import InputError
from dnn.keras_names.table import REPLACEMENTS


class UnsupportedArgument(InputError, TypeError):
    """A function or class lacks an argument that other libraries have."""


@cache
def arguments_of(callee: Callable[..., Any]) -> Mapping[str, Parameter]:
    """Return the parameters of a function or class by name."""
    return signature(callee).parameters


def check_keywords(callee: Callable[..., Any], keywords: Iterable[str]) -> None:
    """Raise UnsupportedArgument if a function or class lacks arguments; it names what to use for each."""
    known = arguments_of(callee)
    missing = [name for name in keywords if name not in known]
    if not missing or any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    cures = REPLACEMENTS["argument"]
    faults = []
    for name in missing:
        cure = cures.get(name, f"leave it out, or use another of {[*known]}")
        cure = cures.get(f"{callee.__name__}.{name}", cure)
        for new_name in REPLACEMENTS["renamed argument"].get(name, "").split():
            if new_name in known:
                cure = f"use {new_name}="
        faults.append(f"{name!r}; {cure}")
    got = f"{callee.__name__} has no argument {'; nor '.join(faults)}"
    raise UnsupportedArgument(got)
