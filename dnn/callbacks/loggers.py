"""Callbacks that log the numbers of each epoch: CSV, JSON lines, TensorBoard."""

import contextlib
import csv
from pathlib import Path
from typing import Any

from backends.errors import install_command, reraise
from dnn.io.atomic_files import make_folder
from dnn.io.json_text import as_json
from dnn.io.notices import warn
from dnn.settings.checks import require_path
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.typing import HostArrays, Logs


class _Log(Callback):
    """Base: a log that is open during training; each epoch is written and flushed."""

    first_worker_only = True
    _file: Any = None

    def write(self, epoch: int, logs: Logs) -> None:
        raise NotImplementedError

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        try:
            self.write(epoch, logs)
            self._file.flush()
        except OSError as error:  # such as a full disk: losing a line is better than losing the training
            warn(f"epoch {epoch} cannot be logged ({error.strerror}); training continues")

    def on_train_end(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


class _File(_Log):
    """A text file in an existing folder.

    It is overwritten at the end of the first epoch, when all callbacks have accepted the training; a resumed
    training first writes the earlier epochs again.

    Args:
        filename: path of the file.
    Raises InputError: when training begins, the file cannot be written.
    """

    def __init__(self, filename: str | Path) -> None:
        self.filename = require_path("filename", filename)

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._rows: list[tuple[int, Logs]] = []  # of the epochs before a resume
        got = f"filename {self.filename} cannot be written"
        with reraise(OSError, got, "a file in a folder that exists"):
            self._open("a").close()  # changes nothing

    def _open(self, mode: str) -> Any:
        return self.filename.open(mode, encoding="utf-8", newline="")

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        self._rows = [*history.rows()]

    def write(self, epoch: int, logs: Logs) -> None:
        if self._file is None:
            self._file = self._open("w")
            for row in self._rows:
                self.write_row(*row)
        self.write_row(epoch, logs)

    def write_row(self, epoch: int, logs: Logs) -> None:
        raise NotImplementedError


class CSVLogger(_File):
    """One line per epoch with its number, from 1, and its logs; as Keras's CSVLogger.

    The columns are the names in the first epoch's logs. Names that appear in later epochs only are not
    written.
    """

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        super().on_train_begin(first_epoch, epochs, updates_per_epoch)
        self._columns: list[str] = []

    def write_row(self, epoch: int, logs: Logs) -> None:
        writer = csv.writer(self._file, lineterminator="\n")
        if not self._columns:
            self._columns = sorted(logs)
            writer.writerow(["epoch", *self._columns])
        writer.writerow([epoch, *(logs.get(name, "") for name in self._columns)])


class JSONLogger(_File):
    """One JSON object per epoch and line: {"epoch": 1, "loss": 0.5, ...}; null for NaN and infinity."""

    def write_row(self, epoch: int, logs: Logs) -> None:
        self._file.write(as_json({"epoch": epoch, **logs}) + "\n")


class TensorBoard(_Log):
    """Log the numbers of each epoch for TensorBoard, with tensorboardX (the extra ``tensorboard``).

    Args:
        log_dir: folder of the event files; created if it does not exist.
    Raises InputError: tensorboardX is not installed; when training begins, the folder cannot be written.
    """

    def __init__(self, log_dir: str | Path = "logs") -> None:
        got = "TensorBoard needs the package tensorboardX, which cannot be imported"
        with reraise(ImportError, got, cure=install_command("tensorboard")):
            from tensorboardX import SummaryWriter
        self.log_dir = require_path("log_dir", log_dir)
        self._make = SummaryWriter

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        with reraise(OSError, f"log_dir {self.log_dir} cannot be written", cure="choose another folder"):
            make_folder(self.log_dir)
            self._file = self._make(str(self.log_dir))

    def write(self, epoch: int, logs: Logs) -> None:
        for name, value in logs.items():
            self._file.add_scalar(name, value, epoch)
