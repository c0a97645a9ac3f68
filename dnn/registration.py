"""``register``: add your own components under a name, for ``compile`` and checkpoints."""

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


def _module(component: Any) -> str | None:
    """Return the name of the module that defines a component."""
    component = getattr(
        getattr(component, "batch", component), "function", component
    )  # the function of a metric
    source = component.forward if isinstance(component, ActivationFunction) else component
    return getattr(source, "__module__", None)


def register(thing: T, name: str | None = None) -> T:
    """Register a component; usable as a decorator. Registering it again from the same module replaces it.

    Args:
        thing: a subclass of Layer, Loss, Optimizer or Schedule, an ActivationFunction, or a metric given as a
            function of (y, outputs).
        name: None: the class name of a Layer, the attribute ``name`` of a Loss, Optimizer or Schedule, or
            the name of the function. An ActivationFunction needs one.
    Returns ``thing``.
    Raises InputError: an object of another kind, or a name of a component of another module.

    >>> @register
    ... def largest_error(y, outputs):
    ...     return abs(y - outputs).max(1)
    """
    component: Any = thing
    bases: dict[type, Table[Any]]
    bases = {Layer: LAYERS, Loss: LOSSES, Optimizer: OPTIMIZERS, Schedule: SCHEDULES}
    base = next((base for base in bases if isinstance(component, type) and issubclass(component, base)), None)
    if base is not None:
        table = bases[base]
        usual = component.__name__ if base is Layer else component.__dict__.get("name", "")
    elif isinstance(component, ActivationFunction):
        table = ACTIVATIONS
        usual = ""
    elif callable(component) and not isinstance(component, (type, Settings)):
        component = metric_of(component, name)
        table = METRICS
        usual = component.name
    else:
        kinds = "a subclass of Layer, Loss, Optimizer or Schedule, an ActivationFunction, or a function"
        raise InputError(f"{short_repr(thing)} cannot be registered", f"{kinds} of (y, outputs)")
    name = name or usual
    table.add(name, component, overwrite=name in table and _module(table[name]) == _module(component))
    return thing
