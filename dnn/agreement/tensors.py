"""A contender's tensors, checked and copied to the host."""

from typing import Any

import numpy as np

from backends import Backend, InputError

Named = dict[str, np.ndarray]


class ArrayMismatch(InputError):
    """A contender's tensor has the wrong library, device, dtype or shape."""


def receive(backend: Backend, tensor: str, array: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Check a contender's tensor and return it as a float64 host array.

    Raises ArrayMismatch: wrong library, device, dtype or shape.
    """
    if not backend.owns(array):
        raise ArrayMismatch(f"{tensor} is a {type(array).__name__}, expected an array of {backend.name!r} on "
                     f"{backend.device}")  # fmt: skip
    if array.dtype != backend.dtype:
        raise ArrayMismatch(f"{tensor} has dtype {array.dtype}, expected {backend.dtype_name}")
    if tuple(array.shape) != tuple(shape):
        raise ArrayMismatch(f"{tensor} has shape {tuple(array.shape)}, expected {tuple(shape)}")
    return np.array(backend.to_host(array), dtype=np.float64)
