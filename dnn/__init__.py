"""A deep neural network written once against the array API standard.

>>> import numpy as np
>>> from backends import get_backend
>>> from dnn import Dense, Sequential
>>> model = Sequential([Dense(2, "softmax")], input_shape=(3,), backend=get_backend("numpy"))
>>> model.predict(np.zeros((1, 3), dtype=np.float32))
array([[0.5, 0.5]], dtype=float32)
"""

from backends import BackendUnavailable, InputError, available_backends, get_backend
from dnn.callbacks import Callback, History
from dnn.inference import Evaluation
from dnn.layers import Dense, Layer
from dnn.logs import CSVLogger, JSONLogger, TensorBoard
from dnn.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Hinge,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from dnn.metrics import confusion_matrix, precision, recall, top_k_accuracy
from dnn.model import Sequential
from dnn.monitors import EarlyStopping, ModelCheckpoint
from dnn.optimizers import SGD, Adagrad, Adam, AdamW, RMSprop
from dnn.schedules import Constant, CosineDecay, LinearDecay, OneCycle, StepDecay

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "BackendUnavailable",
    "BinaryCrossentropy",
    "CSVLogger",
    "Callback",
    "CategoricalCrossentropy",
    "Constant",
    "CosineDecay",
    "Dense",
    "EarlyStopping",
    "Evaluation",
    "Hinge",
    "History",
    "InputError",
    "JSONLogger",
    "Layer",
    "LinearDecay",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "ModelCheckpoint",
    "OneCycle",
    "RMSprop",
    "Sequential",
    "SparseCategoricalCrossentropy",
    "StepDecay",
    "TensorBoard",
    "available_backends",
    "confusion_matrix",
    "get_backend",
    "precision",
    "recall",
    "top_k_accuracy",
]
