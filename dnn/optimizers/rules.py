"""SGD, Adagrad, RMSprop, Adam and AdamW: the formula, the settings and the state vectors of each.

Symbols: p the parameters, g their gradient, rate the learning rate. ``Optimizer`` documents the settings
that all of them share, and the errors. epsilon must be above 0: a weight with gradient 0 would become 0 / 0.
"""

from dataclasses import KW_ONLY
from types import MappingProxyType

from backends import Backend, InputError
from backends.reference.signatures import OptimizerStep
from dnn.io.notices import warn
from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.schedules import Schedule
from dnn.settings.checks import Flag, Fraction, NotNegative, Positive


class SGD(Optimizer):
    """v = momentum v + g;  p = p - rate v, or with Nesterov p = p - rate (g + momentum v).

    As torch.optim.SGD without dampening (Sutskever et al. 2013). ``momentum`` is in [0, 1). ``nesterov``
    needs a momentum above 0.
    """

    learning_rate: float | Schedule = 0.01
    momentum: Fraction = 0.0
    nesterov: Flag = False

    name = "sgd"
    slots = ("velocity",)
    examples = ({}, {"momentum": 0.5}, {"momentum": 0.5, "nesterov": True})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and self.momentum == 0.0:
            raise InputError("nesterov is True with momentum 0", "a momentum above 0")

    def bind(self, backend: Backend) -> OptimizerStep:
        return backend.kernels.sgd


class Adagrad(Optimizer):
    """total = total + g^2;  p = p - rate g / (sqrt(total) + epsilon): a falling rate for each weight.

    Duchi et al. 2011. As torch.optim.Adagrad with lr_decay 0 (use a Schedule) and initial_accumulator_value
    0 (Keras starts at 0.1).
    """

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY  # Keras and PyTorch have another setting in this position
    epsilon: Positive = 1e-10

    name = "adagrad"
    slots = ("total",)

    def bind(self, backend: Backend) -> OptimizerStep:
        return backend.kernels.adagrad


class RMSprop(Optimizer):
    """v: running mean of g^2;  s = g / (sqrt(v) + epsilon);  p = p - rate s, or with momentum
    velocity = momentum velocity + s;  p = p - rate velocity.

    Tieleman and Hinton 2012, as torch.optim.RMSprop: epsilon outside the root, and the rate outside the
    velocity (Keras has both inside).

    Args:
        decay: weight of the old running mean, in [0, 1); torch's alpha, Keras's rho.
        momentum: in [0, 1).
        centered: divide by the running variance of g instead of v (Graves 2013).
    """

    learning_rate: float | Schedule = 0.01
    _: KW_ONLY  # the order of the others differs between Keras and PyTorch
    decay: Fraction = 0.99
    epsilon: Positive = 1e-8
    momentum: Fraction = 0.0
    centered: Flag = False

    name = "rmsprop"
    slots = ("v", "velocity")
    variants = MappingProxyType({"centered": "mean"})
    # The first steps are ten times the rate: at 0.01 training is chaotic, and rounding grows even in float64.
    examples = ({"learning_rate": 1e-3}, {"learning_rate": 1e-3, "momentum": 0.5},
                {"learning_rate": 1e-3, "centered": True})  # fmt: skip

    def bind(self, backend: Backend) -> OptimizerStep:
        return backend.kernels.rmsprop


class Adam(Optimizer):
    """m, v: running means of g and g^2;  p = p - rate m^ / (sqrt(v^) + epsilon), ^ with bias correction.

    Kingma and Ba 2015, algorithm 1. epsilon is outside the root and after the bias correction as in
    torch.optim.Adam (Keras and others place it elsewhere).

    Args:
        beta1, beta2: weights of the old running means m and v, in [0, 1).
        amsgrad: divide by the largest v so far instead of v (Reddi et al. 2018).
    """

    learning_rate: float | Schedule = 1e-3
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Positive = 1e-8
    _: KW_ONLY
    amsgrad: Flag = False

    name = "adam"
    slots = ("m", "v")
    variants = MappingProxyType({"amsgrad": "largest"})
    examples = ({}, {"amsgrad": True})

    def bind(self, backend: Backend) -> OptimizerStep:
        return backend.kernels.adam


class AdamW(Adam):
    """p = p (1 - rate weight_decay), then Adam: the decay does not pass through the moments.

    Loshchilov and Hutter 2019. As torch.optim.AdamW on all parameters, biases included; weight_decay is at
    least 0. The ``l2`` of ``compile`` is different: it is part of the gradient, and of the weights only.
    """

    weight_decay: NotNegative = 0.01

    name = "adamw"

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.0 < self.beta1 < 0.1:
            cure = f"for Keras's order of the settings write weight_decay={self.beta1:g}"
            warn(f"AdamW has beta1={self.beta1:g}, its second setting; {cure}")
