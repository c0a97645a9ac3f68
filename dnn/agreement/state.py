"""State: parameters and optimizer state before an update, as float64 host arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.reference.control import UPDATES

Named = dict[str, np.ndarray]


def round_named(named: Named, dtype: str = "float32") -> Named:
    """Round arrays to a dtype and return them as float64, so that a run in that dtype starts from equal
    values.
    """
    return {k: v.astype(dtype).astype(np.float64) for k, v in named.items()}


@dataclass(frozen=True)
class State:
    """Parameters, optimizer slots, and the optimizer's control array."""

    values: Named  # parameter name -> float64 array
    slots: dict[str, Named]  # slot name -> parameter name -> float64 array
    control: np.ndarray  # (4,), as in ``backends.reference.control``

    def tensors(self) -> Named:
        """Return all arrays by their names in records."""
        values = {f"new {name}": v for name, v in self.values.items()}
        slots = {f"{slot} {name}": v for slot, named in self.slots.items() for name, v in named.items()}
        return {**values, **slots, "updates done": self.control[UPDATES]}

    def round_to(self, dtype: str) -> "State":
        """Return the state rounded to a dtype, see ``round_named``."""
        slots = {slot: round_named(named, dtype) for slot, named in self.slots.items()}
        return State(round_named(self.values, dtype), slots, self.control.astype(dtype).astype(np.float64))


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
