"""One array at a time: what may come in as examples and as targets.

Host NumPy arrays are moved to the model's device here, once; arrays that are there already are taken as
they are; anything else is refused. Images stay uint8: a uint8 value v stands for v / 255.
"""

from math import prod
from typing import Any

import numpy as np

from backends import Backend, InputError

Array = Any
UINT8_SCALE = 1.0 / 255.0


def dtype_name(array: Array) -> str:
    """ "float32" for arrays of every library."""
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
    Raises InputError: another library, device, dtype or shape; no rows; NaN or infinity.
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
    dtype = dtype_name(x)
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
    Raises InputError: another library, device, dtype or shape; class numbers out of range; NaN.
    """
    y = _admit(backend, argument, y)
    shape, dtype = tuple(y.shape), dtype_name(y)
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
    return UINT8_SCALE if dtype_name(x) == "uint8" else 1.0
