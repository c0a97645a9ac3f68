"""The model and its files, under the module name of Keras: ``dnn.models.load_model``."""

from dnn.checkpoints import load_model, save_model
from dnn.sequential import Sequential

__all__ = ["Sequential", "load_model", "save_model"]
