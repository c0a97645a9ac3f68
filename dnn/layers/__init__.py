"""The layers, and the table by which checkpoints and checks find them."""

from dnn.layers.activated import Activation
from dnn.layers.activation_layers import ELU, GELU, LeakyReLU
from dnn.layers.augmentation import RandomElastic, RandomRotation, RandomTranslation
from dnn.layers.containers import LAYERS, Block, Parallel, Residual
from dnn.layers.dense import Dense
from dnn.layers.embedding import Embedding
from dnn.layers.layer import Layer
from dnn.layers.noise import Dropout, GaussianNoise
from dnn.layers.normalization import BatchNormalization, LayerNormalization
from dnn.layers.pooling import AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, MaxPooling2D
from dnn.layers.shaping import Flatten, Rescaling, Reshape
from dnn.layers.windows import Conv1D, Conv2D

__all__ = [
    "ELU", "GELU", "LAYERS", "Activation", "AveragePooling2D", "BatchNormalization", "Block", "Conv1D",
    "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "GaussianNoise", "GlobalAveragePooling2D",
    "GlobalMaxPooling2D", "Layer", "LayerNormalization", "LeakyReLU", "MaxPooling2D", "Parallel",
    "RandomElastic", "RandomRotation", "RandomTranslation", "Rescaling", "Reshape", "Residual",
]  # fmt: skip

for _layer in (
    Dense, Activation, Dropout, GaussianNoise, BatchNormalization, LayerNormalization, Conv2D, Conv1D,
    MaxPooling2D, AveragePooling2D, GlobalAveragePooling2D, GlobalMaxPooling2D, Flatten, Reshape, Rescaling,
    RandomTranslation, RandomRotation, RandomElastic, Embedding, Block, Residual, Parallel, LeakyReLU, ELU,
    GELU,
):  # fmt: skip
    LAYERS.add(_layer.__name__, _layer)
