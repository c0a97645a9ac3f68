"""The optimizers, and the table in which ``compile`` and the checks look them up."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from backends import InputError
from backends.errors import short_repr
from backends.table import Table
from dnn.optimizers.optimizer import Optimizer
from dnn.optimizers.optimizer import OptimizerState as OptimizerState
from dnn.optimizers.rules import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.optimizers.schedules import SCHEDULES
from dnn.validation.settings import look_up, resolve, restore

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

_RULES: tuple[type[Optimizer], ...] = SGD, Adagrad, RMSprop, Adam, AdamW
OPTIMIZERS: Table[type[Optimizer]] = Table("optimizer", {c.name: c for c in _RULES})
"""Every optimizer by name. Add your own with ``OPTIMIZERS.add("mine", Mine)``."""


def refuse_change(optimizer: Optimizer, name: str, value: Any) -> None:
    """Raise InputError: settings of an optimizer do not change; AttributeError: it has no such setting."""
    if name not in {f.name for f in fields(optimizer)}:
        raise AttributeError(f"{type(optimizer).__name__} has no setting {name!r}")
    made = f"{type(optimizer).__name__}({name}={short_repr(value)})"
    cure = "for rates that change in a training give a schedule or the callback ReduceLROnPlateau"
    got = f"{name} of an optimizer cannot be set, since several models may share it"
    raise InputError(got, f"model.compile(loss, {made})", cure)


for _rule in _RULES:  # a frozen dataclass defines its own, with a message that says less
    _rule.__setattr__ = refuse_change  # type: ignore[method-assign,assignment]


def optimizer_from(config: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer that ``config()`` describes. Raises InputError: unknown name, invalid settings."""
    settings = dict(config)
    chosen = look_up("optimizer", settings.pop("name", None), OPTIMIZERS)
    if isinstance(settings.get("learning_rate"), Mapping):
        terms = dict(settings["learning_rate"])
        settings["learning_rate"] = restore(look_up("schedule", terms.pop("name", None), SCHEDULES), terms)
    return restore(chosen, settings)


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return the optimizer itself, or the one of this name with default settings. Raises InputError."""
    return resolve("optimizer", optimizer, OPTIMIZERS, Optimizer, "an optimizer such as Adam(1e-3)")
