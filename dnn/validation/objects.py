"""Objects that their constructor's arguments, kept as attributes of the same names, describe and make again.

A closed one refuses an attribute that the constructor did not make, since it would do nothing.
"""

from abc import ABCMeta
from collections.abc import Collection, Mapping
from inspect import Signature, signature
from typing import Any

from backends.errors import InputError, unknown
from dnn.validation.settings import natural_number


class _Closing(ABCMeta):
    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        made = super().__call__(*arguments, **options)
        made._closed = cls.__module__.startswith("dnn.")  # a subclass of yours has attributes of its own
        return made

    @property
    def __signature__(cls) -> Signature:
        """The constructor's, which ``__call__`` above would hide."""
        of_init = signature(cls.__init__)  # type: ignore[misc]
        return of_init.replace(parameters=list(of_init.parameters.values())[1:])


def shown_with_settings(thing: Any) -> str:
    """Its class and those arguments of the constructor that it keeps under their names."""
    kept = [name for name in signature(type(thing)).parameters if hasattr(thing, name)]
    return f"{type(thing).__name__}({', '.join(f'{name}={getattr(thing, name)!r}' for name in kept)})"


class Closed(metaclass=_Closing):
    """Base of what refuses new public attributes once it is made; names with an underscore are free."""

    _closed = False
    _fixed: Collection[str] = ()  # attributes that belong together, so that nobody sets one

    __repr__ = shown_with_settings

    def __setattr__(self, name: str, value: Any) -> None:
        if self._closed and name in self._fixed:
            raise InputError(f"{name} of a model cannot be set, expected a call of compile or a new model")
        if self._closed and name == "epochs_done":
            natural_number(name, value)
        if self._closed and not name.startswith("_") and name not in self.__dict__:
            classes = type(self).__mro__
            if not any(name in c.__dict__ or name in getattr(c, "__annotations__", ()) for c in classes):
                known = sorted(n for n in self.__dict__ if n[0] != "_")
                raise unknown(f"attribute of {type(self).__name__}", name, known)
        super().__setattr__(name, value)


class Described:
    """Base of layers; each argument of the constructor is an attribute of the same name."""

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is a new layer with these settings, in no model."""
        return made_again, (type(self), self.config())

    def config(self) -> dict[str, Any]:
        """The arguments that make this layer again, as JSON values."""
        names = dict.fromkeys(("name", *signature(type(self)).parameters))
        if not getattr(self, "trainable", True):  # also where the constructor does not take it
            names["trainable"] = None
        return {name: plain(getattr(self, name)) for name in names}


def made_again(layer_class: type[Any], settings: Mapping[str, Any]) -> Any:
    """A new layer with the settings of a ``config``."""
    arguments = dict(settings)
    trainable = arguments.pop("trainable", True)  # not every constructor takes it
    made = layer_class(**arguments)
    if trainable is not True:
        made.trainable = trainable
    return made


def plain(setting: Any) -> Any:
    """A setting as JSON values: a layer by its class's name and its config, a tuple as a list."""
    if isinstance(setting, Described):
        return {"type": type(setting).__name__, **setting.config()}
    return [plain(v) for v in setting] if isinstance(setting, (tuple, list)) else setting
