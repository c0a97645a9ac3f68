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
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.losses import CategoricalCrossentropy, MeanSquaredError
from dnn.model import Sequential
from dnn.optimizers import SGD, Adam
from dnn.schedules import LinearDecay

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "BackendUnavailable",
    "Callback",
    "CategoricalCrossentropy",
    "Dense",
    "Evaluation",
    "History",
    "InputError",
    "Layer",
    "LinearDecay",
    "MeanSquaredError",
    "Sequential",
    "available_backends",
    "fit_lbfgs",
    "get_backend",
]
