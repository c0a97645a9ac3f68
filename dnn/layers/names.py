"""Names of layers: each its own, or its class and a number."""

import re
from collections import Counter
from collections.abc import Sequence

from backends import InputError
from dnn.layers.layer import Layer


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Layers by name: each its own, else its class and how many of that class there are so far.
    Raises InputError: two have the same.
    """
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        usual = snake_case(type(layer).__name__)
        counts[usual] += 1
        names.append(layer.name or f"{usual}_{counts[usual]}")
    if len(set(names)) < len(names):
        raise InputError(f"layers are named {names}, expected each name once")
    return names


def snake_case(name: str) -> str:
    """A class's name as layers are named.

    >>> snake_case("MaxPooling2D")
    'max_pooling2d'
    """
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).lower()
