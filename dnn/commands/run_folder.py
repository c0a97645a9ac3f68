"""The run folder, which holds the files of one training.

config.json            the options, written before the training starts
metrics.jsonl          one line for each finished epoch
state-*.safetensors    training states to resume from: the last few and the best epoch's
model.safetensors      the weights
result.json            requested and used backend, its description, updates, seconds, test loss and accuracy
curves.png             loss and accuracy over the epochs
"""

import io
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from backends import Backend, InputError
from backends.errors import reraise, shorten
from dnn.callbacks.training_checkpoint import latest_state, state_files
from dnn.checkpoints import load_model
from dnn.copies import checkpoint_content
from dnn.datasets import DATASETS
from dnn.io.atomic_files import append, make_folder, require_short, unfinished_files, write_atomically
from dnn.io.folder_lock import FolderLock
from dnn.io.json_text import as_json
from dnn.io.notices import warn
from dnn.io.regular_files import read_text
from dnn.network import Network
from dnn.sequential import Sequential
from dnn.settings.checks import look_up, require_list
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import TrainingState
from dnn.typing import HostArrays, Json, Logs

CONFIG_FILE = "config.json"
METRICS_FILE = "metrics.jsonl"
MODEL_FILE = "model.safetensors"
RESULT_FILE = "result.json"
CURVES_FILE = "curves.png"
LOCK_FILE = ".lock"


def _report_write_errors(path: Path) -> AbstractContextManager[None]:
    """Return a context manager that turns OSError into an InputError that names the run folder."""
    cure = "choose another --run-dir"
    if (path / CONFIG_FILE).exists():
        cure = f"make that possible, then continue with --resume {path} and no other option"
    return reraise(OSError, f"run folder {path} cannot be written", "a folder where files can be made", cure)


class RunFolder(Callback):
    """The run folder of one training, locked by one process; as a callback it writes a line for each epoch.

    A new folder is created when training starts. If it is removed or replaced during the training, nothing
    more is written there. Files are replaced atomically, and a link is replaced instead of followed, so
    nothing is written outside the folder.

    Args:
        path: does not exist or is an empty folder; with ``resume`` a folder that a training wrote.
    Attributes:
        config: written to config.json when training starts; None: nothing is written.
    Raises InputError: the folder is not empty, its run is finished, another process trains into it, or it
    cannot be written. Nothing was changed then.
    """

    first_worker_only = True

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path = path
        self.config: Json | None = None
        self._metrics = b""  # the content of metrics.jsonl
        self._is_new = not resume
        self._lock: FolderLock | None = None
        with _report_write_errors(self.path):
            if not resume:
                require_short(path)
                self._require_free()
                return
            self.prepare()
        if (path / RESULT_FILE).exists():
            raise InputError(
                f"run {path} is finished and cannot be resumed", cure="start a new run with --run-dir"
            )

    def latest_state(self) -> TrainingState | None:
        """Return the newest readable state, or None if the training wrote neither states nor weights.

        Raises StateError: there are states or weights, but no state can be read.
        """
        if not state_files(self.path) and not (self.path / MODEL_FILE).exists():
            return None  # a restart from the beginning loses nothing
        return latest_state(self.path)

    def _require_free(self) -> None:
        """Raise InputError unless there is nothing at the path, or an empty folder.

        A lock and unfinished files are allowed: a training that is killed at once leaves them behind.
        """
        path = self.path
        left = {path / LOCK_FILE, *unfinished_files(path)}
        if path.exists() and not (path.is_dir() and left.issuperset(path.iterdir())):
            got = f"run folder {path} exists and is not an empty folder"
            resume = f"continue an unfinished training with --resume {path} and no other option"
            raise InputError(got, "a new folder", f"choose another --run-dir, or {resume}")

    def prepare(self) -> None:
        """Create and lock the folder, or check that it is still the locked one.

        To be called before each write, and as the ``check`` of ``write_atomically``.
        Raises InputError: it is another training's, or was removed. OSError: it cannot be created.
        """
        if self._lock is not None:
            if self._lock.is_held():
                return
            got = f"run folder {self.path} was removed or replaced during this training"
            cure = "start it again with another --run-dir"
            raise InputError(f"{got}, which writes nothing more there", cure=cure)
        make_folder(self.path)
        got = f"run folder {self.path} is in use by another training"
        with reraise(BlockingIOError, got, cure="wait until it ends, or choose another --run-dir"):
            lock = FolderLock(self.path / LOCK_FILE)
            if not lock.is_held():
                raise BlockingIOError("it was replaced just now")
        if self._is_new:
            self._require_free()  # again: another training may have come and ended meanwhile
        self._lock = lock
        for left in unfinished_files(self.path):
            left.unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> None:
        """Write one of the folder's files atomically. Raises InputError: it cannot be written."""
        with _report_write_errors(self.path):
            self.prepare()
            write_atomically(self.path / name, content, self.prepare)

    def write_json(self, name: str, content: Json) -> None:
        """Write a JSON file, with null for NaN and infinity. Raises InputError: it cannot be written."""
        self._write(name, (as_json(content, indent=2) + "\n").encode())

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._metrics = b""
        self._has_begun = False

    def on_resume(self, history: History, arrays: HostArrays) -> None:
        """Keep the lines of these epochs, which drops the epochs that will be trained again."""
        self._metrics = b"".join(_metrics_line(epoch, logs) for epoch, logs in history.rows())

    def on_epoch_begin(self, epoch: int) -> None:
        """Write the first files: now all callbacks have accepted the training."""
        if self._has_begun:
            return
        self._has_begun = True
        if self.config is not None:
            self.write_json(CONFIG_FILE, self.config)
        self._write(METRICS_FILE, self._metrics)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        path = self.path / METRICS_FILE
        line = _metrics_line(epoch, logs)
        before = len(self._metrics)
        self._metrics += line
        try:
            with suppress(OSError):
                append(path, before, line, self.prepare)
                return
            write_atomically(path, self._metrics, self.prepare)  # the whole file, with what was lost
        except OSError as error:  # a lost line must not end the training
            warn(f"{path} cannot be written ({shorten(error.strerror or error)}); training continues")

    def save(self, network: Network) -> None:
        """Write the weights, and the epochs' lines again: a full disk may have lost the last one."""
        self._write(MODEL_FILE, checkpoint_content(network))
        self._write(METRICS_FILE, self._metrics)

    def draw(self, history: History, title: str) -> None:
        """Write the curves. If they cannot be drawn, warn instead of failing."""
        try:
            picture = io.BytesIO()
            history.plot(title, ("training", "test")).savefig(picture, dpi=120)
        except Exception as error:  # matplotlib's settings, fonts and backends fail in many ways
            warn(f"{self.path / CURVES_FILE} cannot be drawn ({shorten(error)})")
        else:
            self._write(CURVES_FILE, picture.getvalue())


def _metrics_line(epoch: int, logs: Logs) -> bytes:
    return (as_json({"epoch": epoch, **logs}) + "\n").encode()


def load_run(
    path: Path, open_backend: Callable[..., Backend], allow_nonfinite: bool = False
) -> tuple[Json, Sequential]:
    """Return (configuration, trained model) of a run folder, or of the file of a saved model.

    Args:
        open_backend, allow_nonfinite: as in ``load_model``.
    Raises InputError: not a run folder, or a file cannot be read.
    """
    file = path
    config: Json = {"dataset": None, "classes": ()}  # of a saved model
    if not os.path.isfile(path):
        config = read_config(path)
        with reraise(InputError, f"{path / CONFIG_FILE} is invalid:"):
            data = config.get("dataset")
            if not os.path.isabs(str(data)):  # not of --images
                look_up("dataset", data, dict.fromkeys(DATASETS, True))
            require_list("classes", config.setdefault("classes", ()))
            config["classes"] = tuple(map(str, config["classes"]))
        file = path / MODEL_FILE
        if not os.path.exists(file):
            got = f"run {path} has no {MODEL_FILE}"
            raise InputError(got, "a finished training", f"continue it with train.py --resume {path}")
    return config, load_model(file, open_backend, allow_nonfinite)


def read_config(path: Path) -> Json:
    """Return the configuration of a run folder. Raises InputError: not a run folder, or unreadable."""
    file = path / CONFIG_FILE
    if not os.path.exists(file):  # also False for names that are too long
        raise InputError(f"{path} is not a folder with {CONFIG_FILE}", "a run folder that train.py wrote")
    with reraise((OSError, ValueError, RecursionError), f"{file} cannot be read"):
        config = json.loads(read_text(file))
    if not isinstance(config, dict):
        raise InputError(f"{file} is not a JSON object", "train.py's arguments")
    return config
