"""Settings: base of layers, losses, optimizers and schedules, which consist of checked settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from inspect import signature
from typing import Any, ClassVar, dataclass_transform, get_type_hints

import numpy as np

from backends.errors import InputError, short_repr, unknown_name_error
from dnn.keras_names import ChecksKeywords

SampleSettings = tuple[Mapping[str, Any], ...]


def settings_repr(thing: Any) -> str:
    """Return a repr with the class and the constructor's arguments that are attributes of the object."""
    names = [name for name in signature(type(thing)).parameters if hasattr(thing, name)]
    return f"{type(thing).__name__}({', '.join(f'{name}={getattr(thing, name)!r}' for name in names)})"


@cache
def _checks(cls: Any) -> Mapping[str, tuple[Callable[[str, Any], Any], ...]]:
    """Return the checks in the type of each setting, by name."""
    declared = next(c for c in cls.__mro__ if "__dataclass_fields__" in vars(c))
    hints = get_type_hints(declared, include_extras=True)
    return {f.name: getattr(hints[f.name], "__metadata__", ()) for f in fields(declared)}


@dataclass_transform(field_specifiers=(field,))
class Settings(ChecksKeywords):
    """Base of objects with settings: the fields of a dataclass, declared without a decorator.

    A setting is set once, when the object is created. Its type may contain checks, as in ``rate: Fraction``.
    A check is a function of the setting's name and value that returns the value to store. NumPy scalars
    become Python numbers.

    A class with a hand-written ``__init__``, its own or an inherited one, is not changed; the first class of
    a hierarchy is an exception. A class without new settings keeps the inherited ``__init__``.

    Raises InputError: a setting out of range, or an argument that only other libraries have.
    """

    __repr__ = settings_repr
    by_value = True  # whether objects of one class with equal settings are equal
    examples: ClassVar[SampleSettings] = ({},)
    """Settings for the checks: the usual ones, then variants. Reports name a variant by its last setting."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        inherited = getattr(cls, "__dataclass_fields__", {})
        owner = next(c for c in cls.__mro__ if "__init__" in vars(c))
        is_written = owner is not object and "__dataclass_fields__" not in vars(owner)
        if is_written and Settings not in cls.__bases__:
            return
        dataclass(eq=cls.by_value, unsafe_hash=cls.by_value, repr=False)(cls)
        if vars(cls)["__dataclass_fields__"] == inherited:
            del cls.__init__  # so a subclass may still call it with the name as first argument
            return
        # help() shows the types without the checks in them.
        hints = vars(cls)["__init__"].__annotations__
        hints |= {n: hint.__origin__ for n, hint in hints.items() if hasattr(hint, "__metadata__")}

    def __post_init__(self) -> None:
        """Check what depends on several settings. A subclass that overrides this calls it first."""

    def __setattr__(self, name: str, value: Any) -> None:
        cls: Any = type(self)
        checks = _checks(cls).get(name)
        if checks is None or name in vars(self):
            self.require_settable(name, value)
        if checks is not None and isinstance(value, np.generic):  # else float32 arrays would become float64
            value = value.item()
        for check in checks or ():
            value = check(name, value)
        self.store(name, value)

    def store(self, name: str, value: Any) -> None:
        """Set an attribute without checks, for a class that changes its own settings."""
        super().__setattr__(name, value)

    def require_settable(self, name: str, value: Any) -> None:
        """Raise InputError: ``name`` is no setting, or already has a value."""
        cls = type(self)
        if name not in vars(self):
            raise unknown_name_error(f"attribute of {cls.__name__}", name, signature(cls).parameters)
        made = f"{cls.__name__}({name}={short_repr(value)})"
        cure = f"make a new {made}; model.compile takes losses and optimizers"
        raise InputError(f"{name} of {cls.__name__} cannot be changed", cure=cure)

    def config(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return {name: json_value(getattr(self, name)) for name in signature(type(self)).parameters}

    def complete(self, name: str, value: Any) -> None:
        """Give a setting that is None or "" its value, which follows from the others."""
        self.store(name, getattr(self, name) or value)


class Named(Settings):
    """Base of settings that a table holds by name."""

    name: ClassVar[str]

    def config(self) -> dict[str, Any]:
        """Return the name and the settings as JSON values."""
        return {"name": self.name, **super().config()}


def layer_from_config(layer_class: type[Any], settings: Mapping[str, Any]) -> Any:
    """Return a new layer with the settings from ``config``."""
    arguments = dict(settings)
    trainable = arguments.pop("trainable", True)  # a hand-written constructor may lack it
    layer = layer_class(**arguments)
    if trainable is not True:
        layer.trainable = trainable
    return layer


def json_value(setting: Any) -> Any:
    """Return a setting as JSON values: objects by ``config``, layers with their class, tuples as lists."""
    if isinstance(setting, Settings):
        return setting.config() if setting.by_value else {"type": type(setting).__name__, **setting.config()}
    return [json_value(v) for v in setting] if isinstance(setting, (tuple, list)) else setting
