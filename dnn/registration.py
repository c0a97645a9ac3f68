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

T = TypeVar("T")


def _source(part: Any) -> tuple[Any, Any]:
    """Return the module and qualified name of a part; they are equal if a notebook cell runs again."""
    source = getattr(part, "forward", part) if isinstance(part, ActivationFunction) else part
    source = getattr(getattr(source, "batch", source), "function", source)  # the function of a metric
    return getattr(source, "__module__", None), getattr(source, "__qualname__", source)


def register(thing: T, name: str | None = None) -> T:
    """Register a part; usable as a decorator. Registering it again from the same module replaces it.

    Args:
        thing: a subclass of Layer, Loss, Optimizer or Schedule, an ActivationFunction, or a metric given as a
            function of (y, outputs).
        name: None: the class name of a Layer, the attribute ``name`` of a Loss, Optimizer or Schedule, or
            the name of the function. An ActivationFunction needs one.
    Returns ``thing``.
    Raises InputError: an object of another kind, or a name of another part.

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
