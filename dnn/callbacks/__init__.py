"""Callbacks; ``dnn.training.callback`` has their base class."""

from dnn.callbacks.learning_rate_scheduler import LearningRateScheduler
from dnn.callbacks.loggers import CSVLogger, JSONLogger, TensorBoard
from dnn.callbacks.monitor import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from dnn.callbacks.progress import LiveProgress, PlainProgress, progress_for_stdout
from dnn.callbacks.score import Score
from dnn.callbacks.stop_on_signal import StopOnSignal, Stopped
from dnn.callbacks.terminate_on_nan import DivergedError, TerminateOnNaN
from dnn.callbacks.training_checkpoint import TrainingCheckpoint, latest_state
from dnn.training.callback import Callback, Progress

__all__ = [
    "CSVLogger", "Callback", "DivergedError", "EarlyStopping", "JSONLogger",
    "LearningRateScheduler", "LiveProgress",
    "ModelCheckpoint", "PlainProgress", "Progress", "ReduceLROnPlateau", "Score", "StopOnSignal",
    "Stopped", "TensorBoard", "TerminateOnNaN", "TrainingCheckpoint", "latest_state", "progress_for_stdout",
]  # fmt: skip
