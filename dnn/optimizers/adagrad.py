"""Adagrad."""

from __future__ import annotations

from dataclasses import dataclass

from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.ranges import Positive


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """total = total + g^2;  p = p - rate g / (sqrt(total) + epsilon): each weight's own falling rate.

    Duchi et al. 2011, as torch.optim.Adagrad with its lr_decay 0 (a Schedule does that) and
    initial_accumulator_value 0 (Keras starts at 0.1).

    Args:
        learning_rate: finite, at least 0, or a Schedule.
        epsilon: finite, above 0.

    Raises:
        InputError: a setting out of range.
    """

    learning_rate: float | Schedule = 0.01
    epsilon: Positive = 1e-10  # with 0 a weight without gradient would become 0 / 0

    name = "adagrad"
    slots = ("total",)
    examples = ({},)
