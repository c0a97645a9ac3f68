"""A deep neural network written once against the array API standard.

>>> import numpy as np
>>> from backends import get_backend
>>> from dnn import Dense, Sequential
>>> model = Sequential([Dense(2, "softmax")], input_shape=(3,), backend=get_backend("numpy"))
>>> model.predict(np.zeros((1, 3), dtype=np.float32))
array([[0.5, 0.5]], dtype=float32)
"""

# ruff: noqa: F403 (each of these modules defines its public names in __all__)
import sys as _sys

from backends import BackendUnavailable, InputError, available_backends, get_backend
from dnn import callbacks, datasets, layers, losses, metrics, models, optimizers, utils
from dnn.callbacks import (
    EarlyStopping,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from dnn.callbacks.loggers import CSVLogger, JSONLogger, TensorBoard
from dnn.checkpoints import load_model, save_model
from dnn.keras_names import KerasModules, explain_names
from dnn.layers import *
from dnn.lbfgs import LBFGS, fit_lbfgs
from dnn.losses import *
from dnn.optimizers import *
from dnn.optimizers import schedules as _schedules
from dnn.optimizers.schedules import *
from dnn.registration import register
from dnn.sequential import Sequential
from dnn.training.callback import Callback
from dnn.training.evaluation import Evaluation
from dnn.training.history import History

__version__ = "0.1.0"

__all__ = [
    "LBFGS", "BackendUnavailable", "CSVLogger", "Callback", "EarlyStopping", "Evaluation", "History",
    "InputError", "JSONLogger", "LearningRateScheduler", "ModelCheckpoint", "ReduceLROnPlateau", "Sequential",
    "TensorBoard", "TerminateOnNaN", "available_backends", "fit_lbfgs", "get_backend", "load_model",
    "register", "save_model",
]  # fmt: skip
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimizers.__all__
__all__ += _schedules.__all__

_named = callbacks, datasets, layers, losses, metrics, models, optimizers, _schedules, utils
explain_names(_sys.modules[__name__], *_named)
_sys.meta_path.append(KerasModules)
