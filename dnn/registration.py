"""``register``: parts of your own under a name, by which ``compile`` and checkpoints find them."""

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

T = TypeVar("T")


def _source(part: Any) -> tuple[Any, Any]:
    """Where a class or a function was written: the same place if a cell of a notebook runs again."""
    source = getattr(part, "forward", part) if isinstance(part, ActivationFunction) else part
    source = getattr(getattr(source, "batch", source), "function", source)  # of a metric
    return getattr(source, "__module__", None), getattr(source, "__qualname__", source)


def register(thing: T, name: str | None = None) -> T:
    """Make a part known, as a decorator or a call; what is registered again from the same place replaces it.

    Args:
        thing: a subclass of Layer (known by its class's name), Loss, Optimizer or Schedule (by their
            attribute ``name``), an ActivationFunction, or a function of (y, outputs), which is a metric.
        name: instead; an ActivationFunction needs one.
    Raises InputError: something else, or a name that another part has.

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
    elif callable(part) and not isinstance(part, type):
        part = metric_of(part, name)
        table = METRICS
        usual = part.name
    else:
        kinds = "a subclass of Layer, Loss, Optimizer or Schedule, an ActivationFunction, or a function"
        raise InputError(f"{short_repr(thing)} cannot be registered", f"{kinds} of (y, outputs)")
    name = name or usual
    table.add(name, part, overwrite=name in table and _source(table[name]) == _source(part))
    return thing
