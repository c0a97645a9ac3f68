"""RMSprop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.settings import require_number, require_positive


@dataclass(frozen=True)
class RMSprop(Optimizer):
    """v: running mean of g^2;  s = g / (sqrt(v) + epsilon);  p = p - rate s, or with momentum

    velocity = momentum velocity + s;  p = p - rate velocity.

    Tieleman and Hinton 2012, as torch.optim.RMSprop with centered False: epsilon outside the root, and the
    rate outside the velocity (Keras has both inside).

    Args:
        learning_rate: finite, at least 0, or a Schedule.
        decay: of the running mean, in [0, 1); torch's alpha, Keras's rho.
        epsilon: finite, above 0.
        momentum: in [0, 1).

    Raises:
        InputError: a setting out of range.
    """

    learning_rate: float | Schedule = 0.01
    decay: float = 0.99
    epsilon: float = 1e-8
    momentum: float = 0.0

    name = "rmsprop"
    slots = ("v", "velocity")

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("decay", self.decay, 0.0, 1.0)
        require_positive("epsilon", self.epsilon)  # a weight without gradient would become 0 / 0
        require_number("momentum", self.momentum, 0.0, 1.0)

    def settings(self) -> tuple[Any, ...]:
        return (self.decay, self.epsilon, self.momentum)
