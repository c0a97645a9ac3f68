"""RMSprop."""

from __future__ import annotations

from dataclasses import dataclass

from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.ranges import Positive, Share


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
    decay: Share = 0.99
    epsilon: Positive = 1e-8  # with 0 a weight without gradient would become 0 / 0
    momentum: Share = 0.0

    name = "rmsprop"
    slots = ("v", "velocity")
    # The first steps are ten times the rate: at 0.01 training is chaotic, and rounding grows even in float64.
    examples = ({"learning_rate": 1e-3}, {"learning_rate": 1e-3, "momentum": 0.5})
