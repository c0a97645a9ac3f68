"""ModelCheckpoint: write the model after each epoch, or where it was best."""

from pathlib import Path

import numpy as np

from backends.errors import refusing
from dnn.callbacks.monitor import Best
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.validation.settings import require_bool, require_path


class ModelCheckpoint(Callback):
    """Writes the model after each epoch, or each that is the best so far; Keras's callback of that name.

    Args:
        filepath: of a safetensors file (``dnn.checkpoints``); may name numbers of the epoch, as in
            "model-{epoch:02d}-{val_loss:.3f}.safetensors", else it is written over.
        monitor, mode: see ``Best``.
        save_best_only: write only when the monitored number is the best so far, over several fits too.
    Raises InputError: in training, an unwritable file.
    """

    first_worker_only = True

    def __init__(
        self, filepath: str | Path, monitor: str = "val_loss", save_best_only: bool = False,
        mode: str = "auto",
    ) -> None:  # fmt: skip
        self.filepath = str(require_path("filepath", filepath))
        self.save_best_only = require_bool("save_best_only", save_best_only)
        self.best = Best(monitor, mode)

    def on_resume(self, history: History, held: dict[str, np.ndarray]) -> None:
        if self.save_best_only:
            for _, logs in history.rows():
                self.best.improves(logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.save_best_only and not self.best.improves(logs):
            return
        got = f"filepath is {self.filepath!r}, which cannot be filled in"
        cure = f"expected names among epoch, {', '.join(logs)}"
        with refusing((KeyError, IndexError, ValueError), got, "", cure):
            path = self.filepath.format(epoch=epoch, **logs)
        self.model.save(path)
