"""The optimizers, and the table by which ``compile`` and checks find them."""

from collections.abc import Mapping
from types import MappingProxyType

from dnn.optimizers.adagrad import Adagrad
from dnn.optimizers.adam import Adam
from dnn.optimizers.adamw import AdamW
from dnn.optimizers.optimizer import Optimizer, OptimizerState
from dnn.optimizers.rmsprop import RMSprop
from dnn.optimizers.sgd import SGD

OPTIMIZERS: Mapping[str, type[Optimizer]] = MappingProxyType(
    {c.name: c for c in (SGD, Adagrad, RMSprop, Adam, AdamW)}
)

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "OptimizerState", "RMSprop"]
