"""Names: of each layer its own, or its class and a number; and of the classes, in a table."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from backends import InputError
from backends.errors import brief
from backends.table import Table
from dnn.layers.description import made_again
from dnn.layers.layer import Layer
from dnn.validation.settings import look_up

LAYERS: Table[type[Layer]] = Table("layer", {})
"""Every layer by its class's name; one of your own: ``LAYERS.add("Mine", Mine)``."""


def layer_from(description: Mapping[str, Any]) -> Layer:
    """A new layer from its class's name, "type", and its ``config``; InputError if they do not fit."""
    arguments = dict(description)
    layer_class = look_up("layer type", str(arguments.pop("type", None)), LAYERS)
    try:
        made: Layer = made_again(layer_class, arguments)
    except TypeError as error:
        raise InputError(f"a layer is described wrongly: {brief(error)}") from None
    return made


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Each layer's own name, else its class and how many of it there are so far; InputError: equal ones."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        usual = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()  # as in "max_pooling2d"
        counts[usual] += 1
        names.append(layer.name or f"{usual}_{counts[usual]}")
    if len(set(names)) < len(names):
        raise InputError(f"layers are named {names}, expected each name once")
    return names
