"""Adam and AdamW: the formula, the settings, and the vectors that are kept.

Symbols: p the parameters, g their gradient, rate the learning rate. epsilon is above 0: else a weight without
gradient would become 0 / 0.
"""

from dataclasses import dataclass, field
from types import MappingProxyType

from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.validation.ranges import Flag, NotNegative, Positive, Share


@dataclass(frozen=True)
class Adam(Optimizer):
    """m, v: running means of g and g^2;  p = p - rate m^ / (sqrt(v^) + epsilon), ^ without start bias.

    Kingma and Ba 2015, algorithm 1, epsilon outside the root and after the bias correction as in
    torch.optim.Adam (Keras and others place it elsewhere).

    Args:
        beta1, beta2: in [0, 1).
        amsgrad: the largest v so far takes the place of v (Reddi et al. 2018).
    """

    learning_rate: float | Schedule = 1e-3
    beta1: Share = 0.9
    beta2: Share = 0.999
    epsilon: Positive = 1e-8
    amsgrad: Flag = field(default=False, kw_only=True)

    name = "adam"
    slots = ("m", "v")
    variants = MappingProxyType({"amsgrad": "largest"})
    examples = ({}, {"amsgrad": True})


@dataclass(frozen=True)
class AdamW(Adam):
    """p = p (1 - rate weight_decay), then Adam: the decay does not pass through the moments.

    Loshchilov and Hutter 2019, as torch.optim.AdamW over all parameters, biases too; weight_decay is from 0.
    ``compile``'s l2 is the other kind of decay: part of the gradient, and of weights alone.
    """

    weight_decay: NotNegative = 0.01

    name = "adamw"
    decays = True
