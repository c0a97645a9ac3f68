"""Stochastic gradient descent, with momentum or Nesterov's."""

from __future__ import annotations

from dataclasses import dataclass

from backends import InputError
from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.ranges import Share


@dataclass(frozen=True)
class SGD(Optimizer):
    """v = momentum v + g;  p = p - rate v, or with Nesterov p = p - rate (g + momentum v).

    As torch.optim.SGD without dampening (Sutskever et al. 2013).

    Args:
        learning_rate: finite, at least 0, or a Schedule.
        momentum: in [0, 1).
        nesterov: needs a momentum above 0.

    Raises:
        InputError: a setting out of range.
    """

    learning_rate: float | Schedule = 0.01
    momentum: Share = 0.0
    nesterov: bool = False

    name = "sgd"
    slots = ("velocity",)
    examples = ({}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0.0:
            raise InputError("nesterov is True with momentum 0, expected a momentum above 0")
