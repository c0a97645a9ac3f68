"""Advice in errors about arrays: expressions that turn an array into the expected one.

Images are (H, W, C) here and (C, H, W) in PyTorch. A reshape from one to the other scrambles the pixels. So
the advice is to permute the axes if that gives the shape, and to reshape only if that keeps the order.
"""

import datetime
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from dnn.typing import Shape

USUAL_CHANNELS = (1, 3, 4)
FILL_CURE = (
    "remove the row from x and y, or fill the gap (replace infinity by NaN first) with "
    "pandas.DataFrame.fillna or sklearn.impute.SimpleImputer"
)
"""Advice in errors about NaN and infinity in data frames."""
ENCODE_CURE = (
    "leave it out or encode it one-hot, with sklearn's OneHotEncoder, or with pandas.get_dummies of all data "
    "together"
)
"""Advice in errors about text and categories in examples; parts of the data may have different categories."""


def expression_of(argument: str) -> str:
    """Return the caller's expression in the name of an argument.

    >>> expression_of("x of batch 2")
    'x'
    """
    return argument.partition(" of ")[0]


def as_code(argument: str, data: Any) -> str:
    """Return the Python expression of an argument as an array.

    >>> as_code("x of batch 2", [1, 2])
    'numpy.asarray(x)'
    """
    name = expression_of(argument)
    if hasattr(data, "tocsr"):
        return f"{name}.toarray()"
    return name if hasattr(data, "reshape") else f"numpy.asarray({name})"


def as_integers(argument: str, data: Any) -> str:
    """Return the expression that casts an array to integers."""
    return f"{as_code(argument, data)}.{'long()' if hasattr(data, 'long') else 'astype(int)'}"


def first_element(array: Any) -> Any:
    """Return the first element of an array or column of objects or text, None for other arrays."""
    kind = getattr(getattr(array, "dtype", None), "kind", "")
    return next(iter(getattr(array, "flat", array)), None) if kind in ("O", "U", "S", "T") else None


def is_date(value: Any) -> bool:
    """Return whether an element is a date of Python, NumPy or pandas."""
    return isinstance(value, (datetime.date, np.datetime64))


def number_cure(argument: str, dtype: Any, value: Any, code: str = "") -> str:
    """Return advice on an array of dates, text, categories or objects.

    Args:
        argument: its name in messages.
        dtype: of the array. value: its first element, if these are objects or text.
        code: expression of the array; "": the argument's name.
    """
    code = code or expression_of(argument)
    kind = getattr(dtype, "kind", "")
    if kind == "M" or is_date(value):
        dates = f"numpy.asarray({code}, 'datetime64[s]')"
        years = f"({dates} - numpy.datetime64('2000-01-01')) / numpy.timedelta64(365, 'D')"
        return f"use numbers, as the years {years}, or parts such as the month"
    if kind in ("m", "c"):
        return ""
    is_target = argument.startswith(("y", "validation_data[1]"))
    cure = label_cure(code) if is_target else ENCODE_CURE
    with suppress(TypeError, ValueError):
        if np.isfinite(float(value)):
            as_numbers = f"use numpy.asarray({code}, float)"
            return f"{cure}, or for numbers {as_numbers}" if isinstance(value, (str, bytes)) else as_numbers
    return cure


def label_cure(code: str) -> str:
    """Return advice on targets that are names or other labels instead of class numbers."""
    first = "names, y = numpy.unique(y, return_inverse=True)"
    other = f"numpy.searchsorted(names, {code})"
    return f"number the classes of the training with {first}, and those of other data with {other}"


def class_range_cure(argument: str, data: Any, low: int, high: int) -> str:
    """Return advice for class numbers that are out of range."""
    code = as_code(argument, data)
    larger = f"end the network with Dense({high + 1})"
    if low < 0:
        return f"{label_cure(code)}; to leave out the class {low}, give the loss ignore_index={low}"
    return f"number the classes from 0, as {code} - 1 does, or {larger}" if low == 1 else larger


def examples_cure(argument: str, data: Any, found: Shape, shape: Shape) -> str:
    """Return advice for examples with the shape ``found`` instead of (N, *shape), "" if there is none.

    >>> examples_cure("x", [], (5, 28, 28), (28, 28, 1))
    'use numpy.asarray(x).reshape((5, 28, 28, 1))'
    """
    code = as_code(argument, data)
    n = len(shape)
    if not found:
        return ""
    if found == shape:
        return f"use {code}[None, ...], a batch of one example"
    if n == 3 and shape[0] in USUAL_CHANNELS and found[1:] == (*shape[1:], shape[0]):
        return f"images are (height, width, channels): make the model with input_shape={found[1:]}"
    if prod(found) == prod(shape) != prod(found[1:]):  # one example
        code = f"{code}[None, ...]"
        found = (1, *found)
    lengths = found[1:]
    move = "permute" if hasattr(data, "permute") else "transpose"
    has_count = prod(lengths) == prod(shape)
    reshaped = f"use {code}.reshape({(found[0], *shape)})"
    is_row = has_count and len(lengths) == 1
    if is_row and n == 3 and shape[2] > 1:
        planes = f"{code}.reshape({(found[0], shape[2], *shape[:2])})"
        other = f"{planes}.{move}(0, 2, 3, 1)"
        pixels = "if the channels of a pixel are neighbours"
        return f"{reshaped} {pixels}, or {other} if rows are in PyTorch's order"
    if is_row or (has_count and n == 1) or _without_ones(lengths) == _without_ones(shape):
        return reshaped
    for axes in (0, *range(2, n + 1), 1), (n, *range(n)):  # channels first, examples last
        if len(found) == n + 1 and tuple(found[i] for i in axes[1:]) == shape:
            return f"use {code}.{move}{axes}"
    return ""


def _without_ones(shape: Shape) -> list[int]:
    return [n for n in shape if n != 1]


def column_cure(argument: str, data: Any, found: Shape, n: int) -> str:
    """Return advice for numbers that are a column or a row instead of (n,), "" for other shapes."""
    is_line = found in ((n, 1), (1, n))
    return f"use {as_code(argument, data)}.reshape(-1)" if is_line else ""


def targets_cure(argument: str, data: Any, found: Shape, n: int, n_outputs: int) -> str:
    """Return advice for targets that are neither (n,) nor (n, n_outputs), "" if there is none."""
    code = as_code(argument, data)
    if cure := column_cure(argument, data, found, n):
        return cure
    if found == (n_outputs, n):
        return f"use {code}.T"
    if _without_ones(found) == _without_ones((n, n_outputs)):
        return f"use {code}.reshape({(n, n_outputs)})"
    return f"end the network with Dense({found[1]})" if len(found) == 2 and found[0] == n else ""
