"""What an optimizer is: settings that can be written down, and a state over one flat vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from backends import Backend
from dnn.inputs import require_number
from dnn.parameters import Parameters
from dnn.schedules import Schedule

Array = Any


@dataclass(frozen=True)
class Optimizer:
    """Settings alone; one object may serve several models, since the state is the model's.

    Attributes:
        name: in ``compile``; also the kernel's name.
        slots: names of the state vectors, in the kernel's order.
    """

    learning_rate: float | Schedule

    name: ClassVar[str]
    slots: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        if not isinstance(self.learning_rate, Schedule):
            require_number("learning_rate", self.learning_rate, 0.0)

    def settings(self) -> tuple[Any, ...]:
        """The kernel's scalar arguments, in its order (the rate is in the control array)."""
        raise NotImplementedError

    def config(self) -> dict[str, Any]:
        """Name and settings as JSON values."""
        config = {"name": self.name, **asdict(self)}
        if isinstance(self.learning_rate, Schedule):
            config["learning_rate"] = self.learning_rate.config()
        return config


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
        rate = optimizer.learning_rate
        table = rate.rates() if isinstance(rate, Schedule) else np.asarray([rate])
        rates = backend.from_host(table.astype(backend.dtype_name))
        self.control[0:1] = rates[0:1]
        kernel = backend.kernel(optimizer.name)
        arrays = (parameters.values, parameters.gradients, *self.vectors.values(), self.control)
        settings = optimizer.settings()

        def step() -> None:
            kernel(*arrays, *settings)

        gather, last = backend.kernel("gather_rows"), backend.zeros(1)
        last[...] = float(table.size - 1)

        def scheduled_step() -> None:
            xp, control = backend.xp, self.control
            done = xp.astype(xp.minimum(control[3:4], last), xp.int64)
            gather(rates, done, control[0:1], 1.0)
            step()

        self.step: Callable[[], None] = scheduled_step if table.size > 1 else step
