"""The model's door: what may come in as examples and as targets.

Host NumPy arrays are moved to the model's device here, once; arrays that are there already are taken as
they are; anything else is refused. Images stay uint8: a uint8 value v stands for v / 255.
"""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import shown

Array = Any
UINT8_SCALE = 1.0 / 255.0


def _dtype_name(array: Array) -> str:
    return str(array.dtype).rsplit(".", maxsplit=1)[-1]  # "torch.float32", "array_api_strict.float32"


def _admit(backend: Backend, argument: str, array: Any) -> Array:
    """The array if it is the host's or the backend's own."""
    if type(array) is np.ndarray or isinstance(array, np.memmap):
        return array
    backend.check(argument, array)
    return array


def _require_finite(backend: Backend, argument: str, array: Array) -> None:
    xp = np if isinstance(array, np.ndarray) else backend.xp
    if not bool(xp.all(xp.isfinite(array))):
        raise InputError(f"{argument} holds NaN or infinity, expected finite numbers")


def examples(backend: Backend, argument: str, x: Any, shape: tuple[int, ...]) -> Array:
    """x on the device, (N, *shape), uint8 or the backend's dtype.

    Raises:
        InputError: another library, device, dtype or shape; no rows; NaN or infinity.
    """
    x = _admit(backend, argument, x)
    got = tuple(x.shape)
    if len(got) == 0 or got[1:] != shape:
        cure = ""
        if len(got) > 1 and prod(got[1:]) == prod(shape):
            cure = f"; use {argument}.reshape({(got[0], *shape)})"
        expected = ", ".join(("N", *map(str, shape)))
        raise InputError(f"{argument} has shape {got}, expected ({expected}){cure}")
    if got[0] == 0:
        raise InputError(f"{argument} has no rows, expected at least one")
    dtype = _dtype_name(x)
    if dtype not in ("uint8", backend.dtype_name):
        raise InputError(
            f"{argument} has dtype {dtype}, expected uint8 (v stands for v / 255) or "
            f"{backend.dtype_name}; convert it with astype"
        )
    if dtype != "uint8":
        _require_finite(backend, argument, x)
    return backend.from_host(np.ascontiguousarray(x)) if isinstance(x, np.ndarray) else x


def targets(backend: Backend, argument: str, y: Any, rows: int, outputs: int) -> Array:
    """y on the device: (N,) int64 class numbers, or (N, outputs) in the backend's dtype.

    With one output there are no classes to number: (N,) is then one value for each example, (N, 1).

    Raises:
        InputError: another library, device, dtype or shape; class numbers out of range; NaN.
    """
    y = _admit(backend, argument, y)
    shape, dtype = tuple(y.shape), _dtype_name(y)
    if len(shape) not in (1, 2) or shape[0] != rows or shape[1:] not in ((), (outputs,)):
        cure = f"; use {argument}.reshape(-1)" if shape == (rows, 1) else ""
        raise InputError(
            f"{argument} has shape {shape}, expected ({rows},) class numbers or "
            f"({rows}, {outputs}) rows{cure}"
        )
    host = isinstance(y, np.ndarray)
    if outputs == 1 and len(shape) == 1:
        xp = np if host else backend.xp
        if not dtype.startswith("float"):
            y = y.astype(backend.dtype_name) if host else xp.astype(y, backend.dtype)
            dtype = backend.dtype_name
        y = xp.reshape(y, (rows, 1))
        shape = (rows, 1)
    if len(shape) == 1:
        integral = np.issubdtype(y.dtype, np.integer) if host else dtype.startswith(("int", "uint"))
        if not integral:
            raise InputError(
                f"{argument} has dtype {dtype}, expected integers for class numbers; convert it with "
                f"astype(int), or give rows ({rows}, {outputs})"
            )
        xp = np if host else backend.xp
        y = y.astype(np.int64) if host else xp.astype(y, xp.int64)  # torch has no min of uint16
        low, high = int(xp.min(y)), int(xp.max(y))
        if low < 0 or high >= outputs:
            raise InputError(
                f"{argument} holds class numbers from {low} to {high}, expected 0 to {outputs - 1} "
                f"for a network with {outputs} outputs"
            )
        return backend.from_host(y) if host else y
    if dtype != backend.dtype_name:
        raise InputError(
            f"{argument} has dtype {dtype}, expected {backend.dtype_name}; convert it with astype"
        )
    _require_finite(backend, argument, y)
    return backend.from_host(np.ascontiguousarray(y)) if host else y


def scale_of(x: Array) -> float:
    """What the values of admitted examples are multiplied with when a batch is picked."""
    return UINT8_SCALE if _dtype_name(x) == "uint8" else 1.0


def positive_integer(argument: str, value: Any) -> int:
    """The value as int.

    Raises:
        InputError: not an integer of at least 1, or past 64 bits.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{argument} is {shown(value)}, expected an integer of at least 1")
    if value >= 2**63:
        raise InputError(f"{argument} is {value}, expected an integer below 2**63")
    return int(value)


def training_data(
    backend: Backend, x: Any, y: Any, batch_size: Any, shape: tuple[int, ...], outputs: int
) -> tuple[Array, Array]:
    """x and y on the device as ``examples`` and ``targets`` admit them, for batches of this size.

    Raises:
        InputError: as theirs, or a batch size below 1 or above the number of examples.
    """
    batch_size = positive_integer("batch_size", batch_size)
    x = examples(backend, "x", x, shape)
    n = int(x.shape[0])
    if batch_size > n:
        raise InputError(f"batch_size is {batch_size}, expected at most the {n} examples in x")
    return x, targets(backend, "y", y, n, outputs)


def validation_triple(
    backend: Backend, given: Any, shape: tuple[int, ...], outputs: int
) -> tuple[Array, Array, Any]:
    """validation_data's x and y on the device, and its weights as they are, or None.

    Raises:
        InputError: no tuple of two or three, or as ``examples`` and ``targets``.
    """
    if not isinstance(given, tuple) or len(given) not in (2, 3):
        raise InputError("validation_data is not a pair, expected a tuple (x, y) or (x, y, sample_weight)")
    x = examples(backend, "validation_data[0]", given[0], shape)
    y = targets(backend, "validation_data[1]", given[1], int(x.shape[0]), outputs)
    return x, y, given[2] if len(given) == 3 else None


def cut_for_validation(n: int, share: Any, batch_size: int) -> int:
    """How many of n examples are trained on if the last ``share`` of them are held out.

    Raises:
        InputError: a share out of range, or one that leaves a part empty or smaller than a batch.
    """
    require_number("validation_split", share, 0.0, 1.0)
    cut = int(n * (1.0 - share))  # Keras's rounding
    if cut in (0, n):
        raise InputError(
            f"validation_split is {share} of {n} examples, expected a share that leaves both parts some; "
            f"use validation_data for a set of your own"
        )
    if batch_size > cut:
        raise InputError(
            f"batch_size is {batch_size}, expected at most the {cut} examples that validation_split leaves"
        )
    return cut


def require_number(argument: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a setting outside low <= value < high.

    Raises:
        InputError: naming the argument.
    """
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (real and abs(value) <= sys.float_info.max and low <= value < high):
        bound = f"at least {low:g}" + (f" and below {high:g}" if np.isfinite(high) else "")
        raise InputError(f"{argument} is {shown(value)}, expected a finite number of {bound}")


def require_list(argument: str, value: Any) -> None:
    """Refuse what is neither a list nor a tuple.

    Raises:
        InputError: naming the argument.
    """
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{argument} is {shown(value)}, expected a list or a tuple")


def require_positive(argument: str, value: float) -> None:
    """Refuse 0 where ``require_number`` alone would let it in.

    Raises:
        InputError: naming the argument.
    """
    require_number(argument, value, 0.0)
    if value == 0:
        raise InputError(f"{argument} is {shown(value)}, expected a finite number above 0")
