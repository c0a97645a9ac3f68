"""The tensors of a contender by name, checked and copied to the host."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from backends import Backend, InputError
from dnn.typing import HostArrays


class ArrayMismatch(InputError):
    """A contender's tensor has the wrong library, device, dtype or shape."""


def receive(backend: Backend, tensors: Iterable[tuple[str, Any]]) -> HostArrays:
    """Return (name, device array) pairs as float64 host arrays; each is copied before the next is computed.

    Raises ArrayMismatch: wrong library, device or dtype.
    """
    found: HostArrays = {}
    for name, array in tensors:
        if not backend.owns(array):
            place = f"{backend.name!r} on {backend.device}"
            raise ArrayMismatch(f"{name} is a {type(array).__name__}, expected an array of {place}")
        if array.dtype != backend.dtype:
            raise ArrayMismatch(f"{name} has dtype {array.dtype}, expected {backend.dtype_name}")
        found[name] = np.array(backend.to_host(array), dtype=np.float64)
    return found


def require_shapes(tensors: HostArrays, expected: HostArrays) -> None:
    """Raise ArrayMismatch if a tensor does not have the shape of the expected one."""
    for name, array in tensors.items():
        if name in expected and array.shape != expected[name].shape:
            raise ArrayMismatch(f"{name} has shape {array.shape}, expected {expected[name].shape}")
