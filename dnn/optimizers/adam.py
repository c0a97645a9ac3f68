"""Adam."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.settings import require_number, require_positive


@dataclass(frozen=True)
class Adam(Optimizer):
    """m, v: running means of g and g^2;  p = p - rate m^ / (sqrt(v^) + epsilon), ^ without start bias.

    Kingma and Ba 2015, algorithm 1, epsilon outside the root and after the bias correction as in
    torch.optim.Adam (Keras and others place it elsewhere).

    Args:
        learning_rate: finite, at least 0, or a Schedule.
        beta1, beta2: in [0, 1).
        epsilon: finite, above 0.

    Raises:
        InputError: a setting out of range.
    """

    learning_rate: float | Schedule = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    name = "adam"
    slots = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("beta1", self.beta1, 0.0, 1.0)
        require_number("beta2", self.beta2, 0.0, 1.0)
        require_positive("epsilon", self.epsilon)  # a weight without gradient would become 0 / 0

    def settings(self) -> tuple[Any, ...]:
        return (self.beta1, self.beta2, self.epsilon)
