"""The optimizers, and the table by which ``compile`` and checks find them."""

from backends.table import Table
from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.optimizer import OptimizerState as OptimizerState
from dnn.optimizers.rules import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.validation.settings import made

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

OPTIMIZERS: Table[type[Optimizer]] = Table(
    "optimizer", {c.name: c for c in (SGD, Adagrad, RMSprop, Adam, AdamW)}
)
"""Every optimizer by name; one of your own: ``OPTIMIZERS.add("mine", Mine)``."""


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer of this name with its usual settings, or the optimizer that it is; else InputError."""
    return made("optimizer", optimizer, OPTIMIZERS, Optimizer, "an optimizer such as Adam(1e-3)")
