"""Check examples and targets, one array at a time, and move them to the device.

Arrays on the host are copied to the model's device once, except memory maps and sparse matrices. Arrays on
the device are not copied. Images stay uint8 until a batch is loaded.
"""

from typing import Any

import numpy as np

from backends import Array, Backend, InputError
from backends.errors import shorten
from dnn.inputs.advice import (
    as_integers,
    class_range_cure,
    examples_cure,
    first_element,
    number_cure,
    targets_cure,
)
from dnn.inputs.conversion import NUMBER_KINDS, as_array, detach
from dnn.inputs.rows import Rows, as_rows


def dtype_name(array: Array) -> str:
    """Return the dtype's name, such as "float32", for arrays of every library."""
    return str(array.dtype).rsplit(".", maxsplit=1)[-1]  # "torch.float32", "array_api_strict.float32"


def check_numbers(backend: Backend, argument: str, array: Array, allowed_dtype: str = "") -> Array:
    """Return finite numbers on the device, cast to the backend's dtype unless they have ``allowed_dtype``.

    Raises InputError: the array holds no numbers, NaN, infinity, or a number too large for the dtype.
    """
    dtype = dtype_name(array)
    host = isinstance(array, np.ndarray)
    xp = np if host else backend.xp
    require_numbers(argument, array)
    cast = dtype not in (allowed_dtype, backend.dtype_name)
    if cast:
        array = xp.astype(array, getattr(xp, backend.dtype_name))
    if dtype != "uint8":
        _require_finite(argument, xp, array, backend.dtype_name if cast else "")
    return backend.from_host(np.ascontiguousarray(array)) if host else array


def require_numbers(argument: str, array: Array) -> None:
    """Raise InputError for an array of text, dates, complex numbers, records or objects."""
    dtype = dtype_name(array)
    kind = getattr(array.dtype, "kind", None)  # only NumPy-like dtypes have it
    real = kind in NUMBER_KINDS if kind else dtype.startswith(("float", "bfloat", "int", "uint", "bool"))
    if not real:
        cure = number_cure(argument, array.dtype, first_element(array))
        raise InputError(f"{argument} has dtype {shorten(dtype)}", "numbers", cure)


def _require_finite(argument: str, xp: Any, array: Array, cast_to: str, first: int = 0) -> None:
    finite = xp.isfinite(array)
    if not bool(xp.all(finite)):
        large = f", or a number too large for {cast_to}" if cast_to else ""
        broken = ~xp.all(xp.reshape(finite, (array.shape[0], -1)), axis=1)
        row = first + int(xp.argmax(xp.astype(broken, xp.int64)))
        got = f"{argument} holds NaN or infinity{large}, first in example {row}"
        raise InputError(got, "finite numbers", "examples are numbered from 0")


def check_examples(
    backend: Backend, argument: str, x: Any, shape: tuple[int, ...], n_categories: int | None = None
) -> Array | Rows:
    """Return x (N, *shape) on the device, as uint8 or cast to the backend's dtype.

    A memory map stays on the disk, and a sparse matrix stays sparse. Both become ``Rows``, which are read
    once here, chunk by chunk, to check them.

    Args:
        argument: name of x in messages.
        shape: of one example.
        n_categories: if given, x must hold integers in [0, n_categories). They are copied into memory and
            cast, uint8 included.
    Raises InputError: not numbers, wrong device or shape, no rows, NaN, infinity, or a number too large.
    """
    data = x
    x = detach(argument, x)
    rows = as_rows(x, backend.dtype_name) if n_categories is None else None
    x = as_array(backend, argument, x) if rows is None else rows
    found = tuple(x.shape)
    if found[1:] != shape:
        expected = ", ".join(("N", *map(str, shape)))
        cure = examples_cure(argument, data, found, shape)
        raise InputError(f"{argument} has shape {found}", f"({expected})", cure)
    if found[0] == 0:
        raise InputError(f"{argument} has no rows", "at least one")
    if rows is not None:
        require_numbers(argument, rows.source)
        if rows.source.dtype.kind == "f":  # all integers are finite
            cast_to = "" if rows.source.dtype == rows.dtype else backend.dtype_name
            for rows_read, chunk in rows.chunks():
                _require_finite(argument, np, chunk, cast_to, rows_read.start)
        return rows
    if n_categories is None:
        return check_numbers(backend, argument, x, allowed_dtype="uint8")
    x = check_numbers(backend, argument, x)
    xp = backend.xp
    if not bool(xp.all((x >= 0) & (x < n_categories) & (xp.floor(x) == x))):
        low, high = float(xp.min(x)), float(xp.max(x))
        values = f"{argument} holds {low:g} to {high:g}"
        raise InputError(values, f"integers from 0 to {n_categories - 1} for an Embedding")
    return x


def check_targets(
    backend: Backend, argument: str, y: Any, n: int, n_outputs: int, ignored_class: int | None = None
) -> Array:
    """Return y on the device: (N,) int64 class numbers, or (N, n_outputs) in the backend's dtype.

    Args:
        argument: name of y in messages.
        y: class numbers (N,), integers or bool; or rows (N, n_outputs) of any numbers. With one output, (N,)
            is one value per example and becomes (N, 1).
        n: N.
        n_outputs: number of classes.
        ignored_class: a further class number that is valid even if out of range; None: there is none.
    Raises InputError: no numbers, wrong device or shape, class numbers out of range, NaN, infinity, or too
    large a number.
    """
    data = y
    y = as_array(backend, argument, y)
    shape = tuple(y.shape)
    dtype = dtype_name(y)
    if not shape or shape[0] != n or shape[1:] not in ((), (n_outputs,)):
        cure = targets_cure(argument, data, shape, n, n_outputs)
        expected = f"({n},) class numbers or ({n}, {n_outputs}) rows"
        raise InputError(f"{argument} has shape {shape}", expected, cure)
    if n_outputs == 1 or len(shape) == 2:
        return backend.xp.reshape(check_numbers(backend, argument, y), (n, n_outputs))
    require_numbers(argument, y)
    host = isinstance(y, np.ndarray)
    if y.dtype.kind == "f" if host else "float" in dtype:
        cure = (
            f"for class numbers use {as_integers(argument, data)}, or give rows {(n, n_outputs)}; to "
            "predict values, end the network with Dense(1) and compile it with the loss 'mse'"
        )
        raise InputError(f"{argument} has dtype {dtype}", "integers for class numbers", cure)
    xp = np if host else backend.xp
    y = xp.astype(y, xp.int64)  # torch has no min of uint16
    known = y if ignored_class is None else xp.where(y == ignored_class, xp.zeros_like(y), y)
    low = int(xp.min(known))
    high = int(xp.max(known))
    if low < 0 or high >= n_outputs:
        expected = f"0 to {n_outputs - 1} for a network with {n_outputs} outputs"
        got = f"{argument} holds class numbers from {low} to {high}"
        raise InputError(got, expected, class_range_cure(argument, data, low, high))
    return backend.from_host(y) if host else y
