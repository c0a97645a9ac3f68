"""Adam."""

from __future__ import annotations

from dataclasses import dataclass

from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.ranges import Positive, Share


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
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Positive = 1e-8  # with 0 a weight without gradient would become 0 / 0

    name = "adam"
    slots = ("m", "v")
    examples = ({},)
