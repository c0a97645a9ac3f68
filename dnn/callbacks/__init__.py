"""Callbacks: what may watch a training, beside the base class in ``dnn.training.callback``."""

from dnn.callbacks.early_stopping import EarlyStopping
from dnn.callbacks.loggers import CSVLogger, JSONLogger, TensorBoard
from dnn.callbacks.model_checkpoint import ModelCheckpoint
from dnn.callbacks.progress_bar import LiveProgress, PlainProgress, progress_for_stdout
from dnn.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from dnn.callbacks.stop_on_signal import StopOnSignal, Stopped
from dnn.callbacks.terminate_on_nan import DivergedError, TerminateOnNaN
from dnn.callbacks.training_checkpoint import TrainingCheckpoint, latest_state
from dnn.training.callback import Callback, Progress

__all__ = [
    "CSVLogger", "Callback", "DivergedError", "EarlyStopping", "JSONLogger", "LiveProgress",
    "ModelCheckpoint", "PlainProgress", "Progress", "ReduceLROnPlateau", "StopOnSignal", "Stopped",
    "TensorBoard", "TerminateOnNaN", "TrainingCheckpoint", "latest_state", "progress_for_stdout",
]  # fmt: skip
