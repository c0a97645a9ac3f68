"""What an optimizer is: settings that can be written down, and a state over one flat vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, ClassVar

import numpy as np

from backends import Backend, InputError
from dnn.parameters import Parameters

Array = Any


def require_finite(argument: str, value: float, low: float, high: float = float("inf")) -> None:
    """Refuse a setting outside low <= value < high.

    Raises:
        InputError: naming the argument.
    """
    real = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (real and isfinite(value) and low <= value < high):
        bound = f"at least {low:g}" + (f" and below {high:g}" if isfinite(high) else "")
        raise InputError(f"{argument} is {value!r}, expected a finite number of {bound}")


@dataclass(frozen=True)
class Optimizer:
    """Settings alone; one object may serve several models, since the state is the model's.

    Attributes:
        name: in ``compile``; also the kernel's name.
        slots: names of the state vectors, in the kernel's order.
    """

    learning_rate: float

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        require_finite("learning_rate", self.learning_rate, 0.0)

    def settings(self) -> tuple[Any, ...]:
        """The kernel's scalar arguments, in its order (the rate is in the control array)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Name and settings as JSON values."""
        return {"name": self.name, **asdict(self)}


class OptimizerState:
    """An optimizer's vectors and control array for one model.

    Attributes:
        vectors: slot name -> (n,) vector beside the parameters.
        control: (4,) on the device: [rate, two numbers of the kernel's own, updates done].
        step: takes one update from the gradients that are there; no arguments, no host read.
    """

    def __init__(self, optimizer: Optimizer, parameters: Parameters, backend: Backend) -> None:
        n = parameters.values.shape[0]
        self.optimizer = optimizer
        self.vectors = {slot: backend.zeros(n) for slot in optimizer.slots}
        self.control = backend.zeros(4)
        start = np.asarray([optimizer.learning_rate, 0.0, 0.0, 0.0], dtype=backend.dtype_name)
        self.control[...] = backend.from_host(start)
        kernel = backend.kernel(optimizer.name)
        arrays = (parameters.values, parameters.gradients, *self.vectors.values(), self.control)
        settings = optimizer.settings()

        def step() -> None:
            kernel(*arrays, *settings)

        self.step: Callable[[], None] = step
