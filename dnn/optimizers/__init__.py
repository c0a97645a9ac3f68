"""The optimizers, and the table in which ``compile`` and the checks look them up."""

from collections.abc import Mapping
from typing import Any

from backends.table import Table
from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.optimizer import OptimizerState as OptimizerState
from dnn.optimizers.rules import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.optimizers.schedules import SCHEDULES
from dnn.settings.checks import look_up, resolve

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

_RULES: tuple[type[Optimizer], ...] = SGD, Adagrad, RMSprop, Adam, AdamW
OPTIMIZERS: Table[type[Optimizer]] = Table("optimizer", {c.name: c for c in _RULES})
"""Every optimizer by name. Add your own with ``OPTIMIZERS.add("mine", Mine)``."""


def optimizer_from(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that ``config()`` describes. Raises InputError: unknown name, invalid settings."""
    settings = dict(config)
    chosen = look_up("optimizer", settings.pop("name", None), OPTIMIZERS)
    if isinstance(settings.get("learning_rate"), Mapping):
        terms = dict(settings["learning_rate"])
        settings["learning_rate"] = look_up("schedule", terms.pop("name", None), SCHEDULES)(**terms)
    return chosen(**settings)


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer itself, or the one of this name with default settings. Raises InputError."""
    example = "an optimizer such as Adam(1e-3), or docs/guide/own-parts.md"
    return resolve("optimizer", optimizer, OPTIMIZERS, Optimizer, example)
