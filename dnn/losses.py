"""Goals: the number that training makes small, and its gradient with respect to the network's output.

Both come from one kernel, which also divides by the batch size: the goal is the batch's mean loss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar


@dataclass(frozen=True)
class Loss:
    """A goal.

    Attributes:
        name: in ``compile`` and in checkpoints.
        kernel: the kernel that computes it.
        activation: the output activation that the kernel contains, so that it takes the network's
            logits; None: the kernel takes the network's output as it is.
    """

    name: ClassVar[str]
    kernel: ClassVar[str]
    activation: ClassVar[str | None] = None


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """L = -1/B sum_i sum_c t_ic log softmax(logits_i)_c, for class numbers or rows of probabilities."""

    name = "categorical_crossentropy"
    kernel = "softmax_cross_entropy"
    activation = "softmax"


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """L = 1/(B C) sum_i sum_c (y_ic - t_ic)^2, for class numbers (as one-hot rows) or rows of values."""

    name = "mean_squared_error"
    kernel = "mean_squared_error"


LOSSES: Mapping[str, type[Loss]] = MappingProxyType(
    {c.name: c for c in (CategoricalCrossentropy, MeanSquaredError)}
)
