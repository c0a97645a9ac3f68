"""Callbacks that write each epoch's numbers down: CSV, JSON lines, TensorBoard."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import IO, Any

import numpy as np

from backends import InputError
from backends.errors import install
from dnn.training.callback import Callback
from dnn.training.history import History


class _File(Callback):
    """A text file that is open while a training runs; each epoch is flushed to it.

    Args:
        filename: of the file; its folder must exist.
        append: go on with a file that is there; otherwise it is written over, in a training that is gone on
            with by the epochs before, too.

    Raises:
        InputError: when training begins: the file cannot be written.
    """

    def __init__(self, filename: str | Path, append: bool = False) -> None:
        self.filename, self.append = Path(filename), append
        self._file: IO[str] | None = None

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        try:
            self._file = self.filename.open("a" if self.append else "w", encoding="utf-8", newline="")
        except OSError as error:
            raise InputError(
                f"filename {self.filename} cannot be written ({error.strerror}), expected a file in a folder "
                f"that exists"
            ) from None

    def on_resume(self, history: History, held: dict[str, np.ndarray]) -> None:
        if not self.append:
            for epoch, logs in history.rows():
                self.on_epoch_end(epoch, logs)

    def on_train_end(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class CSVLogger(_File):
    """A line an epoch: its number and its logs by name; Keras's callback of that name. Epochs count from 1.

    The columns are those of the first epoch, or with ``append`` those of the file; a number that comes later
    has none.
    """

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        header: list[str] = []
        if self.append and self.filename.is_file():
            with self.filename.open(encoding="utf-8", newline="") as file:
                header = next(csv.reader(file), [])
            if header and header[0] != "epoch":
                raise InputError(
                    f"filename {self.filename} begins with {header}, expected a CSVLogger's file"
                )
        super().on_train_begin(first_epoch, epochs, updates_per_epoch)
        self._columns = header[1:]

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        assert self._file is not None
        writer = csv.writer(self._file, lineterminator="\n")
        if not self._columns:
            self._columns = sorted(logs)
            writer.writerow(["epoch", *self._columns])
        writer.writerow([epoch, *(logs.get(name, "") for name in self._columns)])
        self._file.flush()


class JSONLogger(_File):
    """A JSON object a line and epoch: {"epoch": 1, "loss": 0.5, ...}."""

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        assert self._file is not None
        self._file.write(json.dumps({"epoch": epoch, **logs}) + "\n")
        self._file.flush()


class TensorBoard(Callback):
    """Each epoch's numbers as curves for TensorBoard, through tensorboardX (the extra ``tensorboard``).

    Args:
        log_dir: the folder for its event files, made where it is missing.

    Raises:
        InputError: tensorboardX is not installed.
    """

    def __init__(self, log_dir: str | Path = "logs") -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise InputError(
                "TensorBoard needs the package tensorboardX, which is not installed; "
                f"{install('tensorboard')}"
            ) from None
        self.log_dir = Path(log_dir)
        self._make: Any = SummaryWriter
        self._writer: Any = None

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._writer = self._make(str(self.log_dir))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        for name, value in logs.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()

    def on_train_end(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
