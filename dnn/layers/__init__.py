"""The layers. ``LAYERS``, the table that checkpoints and checks use, is filled from ``__all__``."""

from dnn.layers.activated import Activation
from dnn.layers.activation_layers import ELU, GELU, LeakyReLU
from dnn.layers.augmentation import RandomElastic, RandomRotation, RandomTranslation
from dnn.layers.containers import LAYERS, Block, Parallel, Residual
from dnn.layers.dense import Dense
from dnn.layers.embedding import Embedding
from dnn.layers.input import Input
from dnn.layers.layer import Layer
from dnn.layers.noise import Dropout, GaussianNoise
from dnn.layers.normalization import BatchNormalization, LayerNormalization
from dnn.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from dnn.layers.shaping import Flatten, Rescaling, Reshape
from dnn.layers.windows import Conv1D, Conv2D

__all__ = [
    "ELU", "GELU", "LAYERS", "Activation", "AveragePooling1D", "AveragePooling2D", "BatchNormalization",
    "Block", "Conv1D", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "GaussianNoise",
    "GlobalAveragePooling2D", "GlobalMaxPooling2D", "Input", "Layer", "LayerNormalization", "LeakyReLU",
    "MaxPooling1D", "MaxPooling2D", "Parallel", "RandomElastic", "RandomRotation", "RandomTranslation",
    "Rescaling", "Reshape", "Residual",
]  # fmt: skip

for _name in __all__:
    if _name not in ("LAYERS", "Input", "Layer"):
        LAYERS.add(_name, globals()[_name])
