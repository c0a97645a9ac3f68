"""AdamW."""

from __future__ import annotations

from dataclasses import dataclass

from dnn.optimizers.adam import Adam
from dnn.validation.ranges import NotNegative


@dataclass(frozen=True)
class AdamW(Adam):
    """p = p (1 - rate weight_decay), then Adam: the decay does not pass through the moments.

    Loshchilov and Hutter 2019, as torch.optim.AdamW over all parameters, biases too. ``compile``'s l2 is the
    other kind of decay: part of the gradient, and of weights alone.

    Args:
        learning_rate, beta1, beta2, epsilon: as Adam's.
        weight_decay: finite, at least 0.

    Raises:
        InputError: a setting out of range.
    """

    weight_decay: NotNegative = 0.01

    name = "adamw"
    decays = True
    examples = ({},)
