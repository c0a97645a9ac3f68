"""Checks of settings: numbers, names and lists. They raise an InputError that names the argument.

A setting can declare its check as its type, as in ``beta1: Fraction = 0.9``; see ``dnn.settings.base``.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from inspect import Parameter, signature
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np

from backends.errors import InputError, UnknownName, reraise, short_repr, unknown_name_error
from dnn.keras_names import Uncallable, note
from dnn.keras_names.aliases import ALIASES
from dnn.keras_names.table import REPLACEMENTS

T = TypeVar("T")


def require(fits: bool, argument: str, value: Any, expected: str, cure: str = "") -> None:
    """Raise InputError with argument, value, expectation and cure unless ``fits``."""
    if not fits:
        raise InputError(f"{argument} is {short_repr(value)}", expected, cure)


def look_up(argument: str, name: object, table: Mapping[str, T]) -> T:
    """Return ``table[name]``; other libraries' names of activations, losses and metrics are known too.

    Raises InputError with all names, the most similar one first.
    """
    if name is None or isinstance(name, str):
        key: Any = ALIASES.get(name, name) if argument in ("activation", "loss", "metric") else name
        if key in table:
            note(f"{argument}.{key}")
            return table[key]
        cure = REPLACEMENTS.get(f"{argument} name", {}).get(key) or REPLACEMENTS["module"].get(key)
        if cure:
            raise UnknownName(f"{argument} is {name!r}", cure)
    if isinstance(name, int) and argument == "activation":
        got = f"activation is {name}, and no name such as 'relu'"
        cure = f"write strides={name} for strides; another layer of {name} units is Dense({name})"
        raise InputError(got, cure=cure)
    if callable(name) and argument == "activation" and not isinstance(name, Uncallable):
        expected = "a name; for a function write dnn.register(ActivationFunction(forward, backward), name)"
        signatures = "forward(xp, z) returns y and backward(xp, dy, z, y) f'(z) dy"
        cure = f"{signatures}; ActivationFunction is in backends.reference"
        raise InputError(f"activation is {short_repr(name)}", expected, cure)
    raise unknown_name_error(argument, name, table)


def resolve(argument: str, choice: str | T, table: Mapping[str, type[T]], base: type[T], example: str) -> T:
    """Return ``choice`` if it is an instance of ``base``, or ``table[choice]()`` if it is a name."""
    if isinstance(choice, str):
        return look_up(argument, choice, table)()
    require(isinstance(choice, base), argument, choice, f"a name or {example}")
    return choice


def is_text(name: object) -> bool:
    """Return whether it is a string of printable characters, which fits into one line."""
    return isinstance(name, str) and name.isprintable()


def is_integer(value: object) -> bool:
    """Return whether it is an integer of Python or NumPy, but not a bool or a duration."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.timedelta64))


def positive_integer(argument: str, value: Any, low: int = 1) -> int:
    """Return the value as int. Raises InputError: not an integer of at least ``low``, or not below 2**63."""
    require(is_integer(value) and value >= low, argument, value, f"an integer of at least {low}")
    require(value < 2**63, argument, value, "an integer below 2**63")
    return int(value)


natural_number = partial(positive_integer, low=0)


def require_number(argument: str, value: float, low: float, high: float = float("inf")) -> float:
    """Return the value as float. Raises InputError unless it is finite and low <= value < high."""
    if isinstance(value, (np.integer, np.floating)):
        value = value.item()
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (real and abs(value) <= sys.float_info.max and low <= value < high):
        bound = f" of at least {low:g}" + (f" and below {high:g}" if isfinite(high) else "")
        require(False, argument, value, "a finite number" + (bound if isfinite(low) else ""))
    return float(value)


def require_bool(argument: str, value: Any) -> bool:
    """Return the value as bool. Raises InputError: neither True nor False."""
    require(isinstance(value, (bool, np.bool_)), argument, value, "True or False")
    return bool(value)


def require_kind(argument: str, value: T, *kinds: Any) -> T:
    """Return the value. Raises InputError: not an instance of one of these classes; None stands for None."""
    names = " or ".join(getattr(kind, "__name__", "None") for kind in kinds)
    fits = isinstance(value, tuple(type(None) if kind is None else kind for kind in kinds))
    require(fits, argument, value, f"a {names}")
    return value


def require_text(argument: str, value: Any) -> str:
    """Return the value. Raises InputError: it is no string."""
    require_kind(argument, value, str)
    return str(value)


def require_path(argument: str, value: Any) -> Path:
    """Return the value as a Path. Raises InputError: it cannot be the name of a file."""
    with suppress(TypeError, UnicodeEncodeError):
        path = Path(value)
        if os.fspath(value) and 0 not in os.fsencode(path):
            return path
    raise InputError(f"{argument} is {short_repr(value)}", "the path of a file or folder")


def require_same_call(thing: object, name: str, declared: Callable[..., Any]) -> None:
    """Raise InputError unless the object's method takes the arguments that its base class declares."""
    right = signature(declared)
    plain = [p.replace(annotation=Parameter.empty) for p in right.parameters.values()]
    text = f"def {name}{right.replace(parameters=plain, return_annotation=Parameter.empty)}"
    named = {p.name: None for p in plain if p.kind is Parameter.KEYWORD_ONLY}
    with reraise(TypeError, f"{name} of {type(thing).__name__}:", text):
        signature(getattr(thing, name)).bind(*plain[1 : len(plain) - len(named)], **named)


def require_list(argument: str, value: Any) -> None:
    """Raise InputError unless the value is a list or a tuple."""
    example = f"({short_repr(value)},)"
    require(isinstance(value, (list, tuple)), argument, value, f"a list or a tuple such as {example}")


def positive_integers(argument: str, values: Any) -> tuple[int, ...]:
    """Return a list or tuple of integers of at least 1 as a tuple. Raises InputError: another value."""
    require_list(argument, values)
    if any(n is None for n in values):
        right = tuple(filter(None, values))
        raise InputError(f"{argument} is {values}", f"{right}, without the number of examples")
    return tuple(positive_integer(argument, n) for n in values)


def require_instances(argument: str, values: Any, expected: type) -> None:
    """Raise InputError unless this is a list or tuple of instances of a class; it names the first other."""
    require_list(argument, values)
    for i, value in enumerate(values):
        require_kind(f"{argument}[{i}]", value, expected)


def require_positive(argument: str, value: float) -> float:
    """Return the value as float. Raises InputError unless it is finite and above 0."""
    number = require_number(argument, value, 0.0)
    require(number != 0, argument, value, "a finite number above 0")
    return number


def one_of(names: Iterable[str]) -> Callable[[str, Any], str]:
    """Return a check for ``Annotated``: the value must be one of these names, or known by ``look_up``."""
    return lambda argument, value: look_up(argument, value, {name: name for name in names})


def or_none(check: Callable[[str, Any], T]) -> Callable[[str, Any], T | None]:
    """Return a check that also accepts None."""
    return lambda argument, value: None if value is None else check(argument, value)


positive_or_none = or_none(positive_integer)

NotNegative = Annotated[float, partial(require_number, low=0.0)]
Positive = Annotated[float, require_positive]
Fraction = Annotated[float, partial(require_number, low=0.0, high=1.0)]  # from 0, below 1
Count = Annotated[int, positive_integer]
Flag = Annotated[bool, require_bool]
Natural = Annotated[int, natural_number]
Finite = Annotated[float, partial(require_number, low=float("-inf"))]
ClassNumber = Annotated[int | None, or_none(partial(positive_integer, low=-(2**63)))]
Lengths = Annotated[Sequence[int], positive_integers]
