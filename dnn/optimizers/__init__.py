"""The optimizers, and the table by which ``compile`` and checks find them."""

from backends import InputError
from backends.errors import shown
from backends.table import Table
from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.optimizer import OptimizerState as OptimizerState
from dnn.optimizers.rules import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.validation.settings import look_up

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

OPTIMIZERS: Table[type[Optimizer]] = Table(
    "optimizer", {c.name: c for c in (SGD, Adagrad, RMSprop, Adam, AdamW)}
)
"""Every optimizer by name; one of your own: ``OPTIMIZERS.add("mine", Mine)``."""


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """The optimizer of this name with its usual settings, or the optimizer that it is.
    Raises InputError: an unknown name, or something else than an optimizer.
    """
    if isinstance(optimizer, str):
        return look_up("optimizer", optimizer, OPTIMIZERS)()  # type: ignore[call-arg]
    if not isinstance(optimizer, Optimizer):
        raise InputError(
            f"optimizer is {shown(optimizer)}, expected a name or an optimizer such as Adam(1e-3)"
        )
    return optimizer
