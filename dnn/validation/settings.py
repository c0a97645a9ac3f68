"""Checks of settings: numbers, names and lists. They raise an InputError that names the argument.

A field of a dataclass can declare its check as its type, as in ``beta1: Share = 0.9``; see ``Checked``.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_type_hints

import numpy as np

from backends.errors import InputError, short_repr, unknown_name_error
from dnn.io.notices import warn
from dnn.validation.keyword_arguments import check_keywords

T = TypeVar("T")


def require(fits: bool, argument: str, value: Any, expected: str, cure: str = "") -> None:
    """Raise InputError with argument, value, expectation and cure unless ``fits``."""
    if not fits:
        raise InputError(f"{argument} is {short_repr(value)}", expected, cure)


def look_up(argument: str, name: object, table: Mapping[str, T]) -> T:
    """Return ``table[name]``. Raises InputError with all names, the most similar one first."""
    if isinstance(name, str) and name in table:
        return table[name]
    raise unknown_name_error(argument, name, table)


def resolve(argument: str, given: str | T, table: Mapping[str, type[T]], base: type[T], example: str) -> T:
    """Return ``given`` if it is an instance of ``base``, or ``table[given]()`` if it is a name."""
    if isinstance(given, str):
        return look_up(argument, given, table)()
    require(isinstance(given, base), argument, given, f"a name or {example}")
    return given


def is_text(name: object) -> bool:
    """Whether it is a string of printable characters, which fits into one line."""
    return isinstance(name, str) and name.isprintable()


def is_integer(value: object) -> bool:
    """Whether it is an integer of Python or NumPy, but not a bool."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def positive_integer(argument: str, value: Any) -> int:
    """Return the value as int. Raises InputError: not an integer of at least 1, or too large for int64."""
    require(is_integer(value) and value >= 1, argument, value, "an integer of at least 1")
    require(value < 2**63, argument, value, "an integer below 2**63")
    return int(value)


def natural_number(argument: str, value: Any) -> int:
    """Return the value. Raises InputError: not an integer of at least 0, or too large for int64."""
    fits = is_integer(value) and 0 <= value < 2**63
    require(fits, argument, value, "an integer of at least 0, below 2**63")
    return int(value)


def require_integer(argument: str, value: Any) -> int | None:
    """Return the value. Raises InputError: neither None nor an integer that fits into int64."""
    fits = value is None or (is_integer(value) and -(2**63) < value < 2**63)
    require(fits, argument, value, "an integer of 64 bits or None")
    return None if value is None else int(value)


def require_number(argument: str, value: float, low: float, high: float = float("inf")) -> float:
    """Return the value as float. Raises InputError unless it is finite and low <= value < high."""
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


def require_path(argument: str, value: Any) -> Path:
    """Return the value as a Path. Raises InputError: it cannot be the name of a file."""
    with suppress(TypeError, UnicodeEncodeError):
        path = Path(value)
        if 0 not in os.fsencode(path):
            return path
    raise InputError(f"{argument} is {short_repr(value)}, expected the path of a file or folder")


def require_list(argument: str, value: Any) -> None:
    """Raise InputError unless the value is a list or a tuple."""
    require(isinstance(value, (list, tuple)), argument, value, "a list or a tuple")


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
    """Return a check for ``Annotated``: the value must be one of these names."""

    def check(argument: str, value: Any) -> str:
        look_up(argument, value, dict.fromkeys(names))
        return str(value)

    return check


NotNegative = Annotated[float, partial(require_number, low=0.0)]
Positive = Annotated[float, require_positive]
Share = Annotated[float, partial(require_number, low=0.0, high=1.0)]  # from 0, below 1
Count = Annotated[int, positive_integer]
Flag = Annotated[bool, require_bool]
Natural = Annotated[int, natural_number]
Finite = Annotated[float, partial(require_number, low=float("-inf"))]
ClassNumber = Annotated[int | None, require_integer]


def assign(thing: object, **attributes: Any) -> None:
    """Set attributes of a frozen object."""
    for name, value in attributes.items():
        object.__setattr__(thing, name, value)


class Checked:
    """Base of frozen dataclasses that applies the checks in the types of its fields on creation.

    A check is a function of the field's name and value that returns the value to store. NumPy scalars become
    Python numbers. Raises InputError: a setting out of range, or an argument that only other libraries have.
    """

    _is_restored = False  # True: ``restore`` created it

    def __new__(cls, *arguments: Any, **keywords: Any) -> Any:
        check_keywords(cls, keywords)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        declared = next(c for c in type(self).__mro__ if "__dataclass_fields__" in vars(c))
        hints = get_type_hints(declared, include_extras=True)
        for setting in fields(declared):
            given = value = getattr(self, setting.name, None)
            if isinstance(value, np.generic):  # NumPy's own numbers would make float32 arrays float64
                value = value.item()
            for check in getattr(hints[setting.name], "__metadata__", ()):
                value = check(setting.name, value)
            if value is not given:
                assign(self, **{setting.name: value})
        if not self._is_restored and (text := self.other_meaning()):
            warn(text)

    def other_meaning(self) -> str:
        """Return a warning of a setting that means something else in Keras or PyTorch; "": there is none."""
        return ""


def restore(cls: type[T], settings: Mapping[str, Any]) -> T:
    """Return a new object with the settings of an earlier one, whose ``other_meaning`` has been logged."""
    constructor: Any = cls
    made: Any = constructor.__new__(cls, **settings)
    assign(made, _is_restored=True)
    made.__init__(**settings)
    return cast(T, made)
