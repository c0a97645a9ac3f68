"""A deep neural network written once against the array API standard.

>>> import numpy as np
>>> from backends import get_backend
>>> from dnn import Dense, Sequential
>>> model = Sequential([Dense(2, "softmax")], input_shape=(3,), backend=get_backend("numpy"))
>>> model.predict(np.zeros((1, 3), dtype=np.float32))
array([[0.5, 0.5]], dtype=float32)
"""

from backends import BackendUnavailable, InputError, available_backends, get_backend
from dnn.callbacks.early_stopping import EarlyStopping
from dnn.callbacks.loggers import CSVLogger, JSONLogger, TensorBoard
from dnn.callbacks.model_checkpoint import ModelCheckpoint
from dnn.layers import (
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    RandomRotation,
    RandomTranslation,
    Reshape,
)
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Hinge,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from dnn.metrics import confusion_matrix, precision, recall, top_k_accuracy
from dnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.optimizers.schedules import Constant, CosineDecay, LinearDecay, OneCycle, StepDecay
from dnn.sequential import Sequential
from dnn.training.callback import Callback
from dnn.training.evaluation import Evaluation
from dnn.training.history import History

__all__ = [
    "LBFGS",
    "SGD",
    "Activation",
    "Adagrad",
    "Adam",
    "AdamW",
    "AveragePooling2D",
    "BackendUnavailable",
    "BatchNormalization",
    "BinaryCrossentropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossentropy",
    "Constant",
    "Conv2D",
    "CosineDecay",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "Evaluation",
    "Flatten",
    "GaussianNoise",
    "Hinge",
    "History",
    "InputError",
    "JSONLogger",
    "Layer",
    "LayerNormalization",
    "LinearDecay",
    "MaxPooling2D",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelCheckpoint",
    "OneCycle",
    "RMSprop",
    "RandomRotation",
    "RandomTranslation",
    "Reshape",
    "Sequential",
    "SparseCategoricalCrossentropy",
    "StepDecay",
    "TensorBoard",
    "available_backends",
    "confusion_matrix",
    "fit_lbfgs",
    "get_backend",
    "precision",
    "recall",
    "top_k_accuracy",
]
