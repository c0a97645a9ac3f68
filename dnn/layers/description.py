"""What makes a layer again: its class and its arguments, for checkpoints, copies and people."""

from collections.abc import Mapping
from inspect import signature
from typing import Any

from dnn.validation.settings import LATER


class Described:
    """Base of layers; each argument of the constructor is an attribute of the same name."""

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy is a new layer with these settings, in no model."""
        return made_again, (type(self), self.config())

    def config(self) -> dict[str, Any]:
        """The arguments that make this layer again, as JSON values."""
        defaults = {name: p.default for name, p in signature(type(self)).parameters.items()}
        defaults["trainable"] = True  # also where the constructor does not take it
        given = {name: getattr(self, name) for name in ("name", *defaults)}
        return {n: plain(v) for n, v in given.items() if n not in LATER or v != defaults[n]}


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
