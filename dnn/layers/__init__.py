"""The layers, and the table by which checkpoints and checks find them."""

from collections.abc import Mapping
from types import MappingProxyType

from dnn.layers.dense import Dense
from dnn.layers.layer import Layer

LAYERS: Mapping[str, type[Layer]] = MappingProxyType({c.__name__: c for c in (Dense,)})

__all__ = ["LAYERS", "Dense", "Layer"]
