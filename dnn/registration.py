"""``register``: add your own parts under a name, for ``compile`` and checkpoints."""

from typing import Any, TypeVar

from backends.errors import InputError, short_repr
from backends.reference import ACTIVATIONS
from backends.reference.activations import ActivationFunction
from backends.table import Table
from dnn.layers import LAYERS, Layer
from dnn.losses import LOSSES, Loss
from dnn.metrics import METRICS, metric_of
from dnn.optimizers import OPTIMIZERS, Optimizer
from dnn.optimizers.schedules import SCHEDULES, Schedule
from dnn.settings.base import Settings

T = TypeVar("T")


def _module(part: Any) -> str | None:
    """Return the name of the module that defines a part."""
    part = getattr(getattr(part, "batch", part), "function", part)  # the function of a metric
    source = part.forward if isinstance(part, ActivationFunction) else part
    return getattr(source, "__module__", None)


def register(thing: T, name: str | None = None) -> T:
    """Register a part; usable as a decorator. Registering it again from the same module replaces it.

    Args:
        thing: a subclass of Layer, Loss, Optimizer or Schedule, an ActivationFunction, or a metric given as a
            function of (y, outputs).
        name: None: the class name of a Layer, the attribute ``name`` of a Loss, Optimizer or Schedule, or
            the name of the function. An ActivationFunction needs one.
    Returns ``thing``.
    Raises InputError: an object of another kind, or a name of a part of another module.

    >>> @register
    ... def largest_error(y, outputs):
    ...     return abs(y - outputs).max(1)
    """
    part: Any = thing
    bases: dict[type, Table[Any]]
    bases = {Layer: LAYERS, Loss: LOSSES, Optimizer: OPTIMIZERS, Schedule: SCHEDULES}
    base = next((base for base in bases if isinstance(part, type) and issubclass(part, base)), None)
    if base is not None:
        table = bases[base]
        usual = part.__name__ if base is Layer else part.__dict__.get("name", "")
    elif isinstance(part, ActivationFunction):
        table = ACTIVATIONS
        usual = ""
    elif callable(part) and not isinstance(part, (type, Settings)):
        part = metric_of(part, name)
        table = METRICS
        usual = part.name
    else:
        kinds = "a subclass of Layer, Loss, Optimizer or Schedule, an ActivationFunction, or a function"
        raise InputError(f"{short_repr(thing)} cannot be registered", f"{kinds} of (y, outputs)")
    name = name or usual
    table.add(name, part, overwrite=name in table and _module(table[name]) == _module(part))
    return thing
