"""The layers, and the table by which checkpoints and checks find them."""

from backends.table import Table
from dnn.layers.activation import Activation
from dnn.layers.augmentation import RandomRotation, RandomTranslation
from dnn.layers.dense import Dense
from dnn.layers.layer import Layer
from dnn.layers.noise import Dropout, GaussianNoise
from dnn.layers.normalization import BatchNormalization, LayerNormalization
from dnn.layers.pooling import GlobalAveragePooling2D
from dnn.layers.rescaling import Rescaling
from dnn.layers.shaping import Flatten, Reshape
from dnn.layers.windows import AveragePooling2D, Conv2D, MaxPooling2D

__all__ = [
    "LAYERS", "Activation", "AveragePooling2D", "BatchNormalization", "Conv2D", "Dense", "Dropout", "Flatten",
    "GaussianNoise", "GlobalAveragePooling2D", "Layer", "LayerNormalization", "MaxPooling2D",
    "RandomRotation", "RandomTranslation", "Rescaling", "Reshape",
]  # fmt: skip

LAYERS: Table[type[Layer]] = Table("layer", {c.__name__: c for c in (
    Dense, Activation, Dropout, GaussianNoise, BatchNormalization, LayerNormalization, Conv2D, MaxPooling2D,
    AveragePooling2D, GlobalAveragePooling2D, Flatten, Reshape, Rescaling, RandomTranslation, RandomRotation,
)})  # fmt: skip
"""Every layer by its class's name; one of your own: ``LAYERS.add("Mine", Mine)``."""
