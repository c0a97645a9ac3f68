"""Objects with settings from which an equal object can be created: the base of layers."""

from abc import ABCMeta
from collections.abc import Mapping
from dataclasses import dataclass, field
from inspect import signature
from typing import Any, dataclass_transform

from backends.errors import InputError, short_repr, unknown_name_error
from dnn.validation.settings import Checked, require_bool, restore


@dataclass_transform(field_specifiers=(field,))
class SettingsMeta(ABCMeta):
    """Metaclass that turns each class into a frozen dataclass of the settings that it declares.

    A class without new settings keeps the inherited ``__init__``. A class with a hand-written ``__init__``,
    its own or an inherited one, is not changed; the first class of the hierarchy is an exception.
    """

    def __init__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> None:
        super().__init__(name, bases, namespace)
        inherited = getattr(cls, "__dataclass_fields__", {})
        owner = next(c for c in cls.__mro__ if "__init__" in vars(c))
        if inherited and "__dataclass_fields__" not in vars(owner):
            return
        decorate: Any = dataclass(frozen=True, eq=False, repr=False)
        decorate(cls)
        if vars(cls)["__dataclass_fields__"] == inherited:
            type.__delattr__(cls, "__init__")
            return
        # help() shows the types without the checks in them.
        hints = vars(cls)["__init__"].__annotations__
        hints |= {n: hint.__origin__ for n, hint in hints.items() if hasattr(hint, "__metadata__")}

    def __setattr__(cls, name: str, value: Any) -> None:
        # Drop dataclass's methods that forbid all assignments; ``SettingsObject`` allows ``trainable``.
        if name not in ("__setattr__", "__delattr__"):
            super().__setattr__(name, value)


def settings_repr(thing: Any) -> str:
    """Return a repr with the class and the constructor's arguments that are attributes of the object."""
    names = [name for name in signature(type(thing)).parameters if hasattr(thing, name)]
    return f"{type(thing).__name__}({', '.join(f'{name}={getattr(thing, name)!r}' for name in names)})"


class SettingsObject(Checked):
    """Base of layers; each argument of the constructor is an attribute of the same name."""

    __repr__ = settings_repr

    def __setattr__(self, name: str, value: Any) -> None:
        """Raise InputError if a setting other than ``trainable`` is changed.

        A class outside dnn may have further attributes. If it has its own ``__init__``, all may change.
        """
        cls = type(self)
        frozen = name in vars(cls).get("__dataclass_fields__", ())
        if cls.__module__.startswith("dnn."):
            frozen = not name.startswith("_")
        if name == "trainable":
            value = require_bool(name, value)
        elif frozen and name not in dir(self):
            raise unknown_name_error(f"attribute of {cls.__name__}", name, signature(cls).parameters)
        elif frozen:
            own = vars(self)
            in_model = f"layer {own['name']!r} is in a model, where its"
            whose = in_model if "backend" in own else f"a {cls.__name__}'s"
            raise InputError(f"{whose} {name} cannot be changed to {short_repr(value)}; make a new layer")
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        """Copy and pickle as a new layer with these settings, in no model."""
        return layer_from_config, (type(self), self.config())

    def config(self) -> dict[str, Any]:
        """Return the settings as JSON values; ``layer_from_config`` creates an equal layer from them."""
        names = dict.fromkeys(("name", *signature(type(self)).parameters, "trainable"))
        return {name: json_value(getattr(self, name)) for name in names}


def layer_from_config(layer_class: type[Any], settings: Mapping[str, Any]) -> Any:
    """Return a new layer with the settings from ``config``."""
    arguments = dict(settings)
    trainable = arguments.pop("trainable", True)  # a hand-written constructor may lack it
    layer = restore(layer_class, arguments)
    if trainable is not True:
        layer.trainable = trainable
    return layer


def json_value(setting: Any) -> Any:
    """Return a setting as JSON values: a layer as its class name and config, a tuple as a list."""
    if isinstance(setting, SettingsObject):
        return {"type": type(setting).__name__, **setting.config()}
    return [json_value(v) for v in setting] if isinstance(setting, (tuple, list)) else setting
