"""A run folder: what was asked (config.json, before anything runs), a line for each epoch as it ends
(metrics.jsonl), what a training can be resumed from (state-*.safetensors, the last few and the best epoch's),
the weights (model.safetensors), asked and used backend, its description, updates, seconds, test loss and
accuracy (result.json), loss and accuracy over the epochs (curves.png).
"""

import contextlib
import io
import itertools
import json
import os
import tempfile
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from backends import Backend, InputError
from backends.errors import reraise, shorten
from dnn.callbacks.training_checkpoint import latest_state, state_files
from dnn.checkpoints import dtype_of, load_model
from dnn.commands.command_line import as_json
from dnn.io.atomic_files import unfinished_files, write_atomically
from dnn.io.notices import warn
from dnn.io.regular_files import read_text
from dnn.network import Network
from dnn.sequential import Sequential
from dnn.training.callback import Callback
from dnn.training.history import History
from dnn.training.state import TrainingState
from dnn.validation.settings import look_up, natural_number, require_bool, require_kind, require_path

CONFIG = "config.json"
METRICS = "metrics.jsonl"
MODEL = "model.safetensors"
RESULT = "result.json"
CURVES = "curves.png"
LOCK = ".lock"


def _writing(path: Path) -> AbstractContextManager[None]:
    """What the system refuses in here is an InputError that names the run folder."""
    got = f"run folder {path} cannot be written"
    return reraise(OSError, got, "a folder where files can be made", "choose another --run-dir")


def require_new(path: Path) -> None:
    """Raises InputError: a run folder holds more than what a training leaves that is killed at once, or its
    place cannot be looked into. Nothing is made.
    """
    with _writing(path):
        left = {path / LOCK, *unfinished_files(path)}
        if path.exists() and (not path.is_dir() or set(path.iterdir()) - left):
            cure = "choose another --run-dir, remove it, or continue it with --resume"
            raise InputError(f"run folder {path} exists and is not an empty folder", "a new one", cure)


def free_folder(parent: Path, ending: str) -> Path:
    """Make parent/DATE-ending, or with -2, -3, ... after it where that is taken. InputError: it cannot be."""
    path = parent / f"{datetime.now():%Y%m%d-%H%M%S}-{ending}"
    with _writing(path):
        parent.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(2):
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                break
            path = parent / f"{datetime.now():%Y%m%d-%H%M%S}-{ending}-{number}"
    return path


class RunFolder(Callback):
    """A folder for one training, held by one process at a time; as a callback it writes each epoch's line.

    A new folder is made when training begins, and one that vanishes is made again: an hour's weights are
    worth more than the states that went with it. Files are replaced whole, links too; nothing is written
    elsewhere.

    Args:
        path: must not exist or be an empty folder; or with ``resume`` one that a training wrote.
        config: is written when a training begins; None: nothing is.
    Raises InputError: there is something in it already, another process trains into it, or it cannot be
    written; nothing was changed.
    """

    first_worker_only = True

    def __init__(self, path: str | Path, resume: bool = False, config: dict[str, Any] | None = None) -> None:
        self.path = require_path("path", path)
        self.config = config
        self._texts: dict[str, str] = {}  # what was written, for a folder that is made again
        self._held = False
        if not require_bool("resume", resume):
            require_new(self.path)
            return
        self._ready()
        with contextlib.suppress(OSError, UnicodeDecodeError):
            self._texts[CONFIG] = read_text(self.path / CONFIG)

    def latest_state(self) -> TrainingState | None:
        """The state to go on from; None where the training ended before it wrote a state or weights.
        Raises StateError: it wrote some, and no state can be read.
        """
        if not state_files(self.path) and not (self.path / MODEL).exists():
            return None  # begun anew, it loses nothing
        return latest_state(self.path)

    def _ready(self) -> None:
        """Make the folder where it is not there, take its lock, and clear what killed writers left."""
        if self._held and self.path.is_dir():
            return
        with _writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
            # Nothing outside the folder is made through a link, and no pipe's reader waited for.
            careful = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
            lock = os.open(self.path / LOCK, os.O_WRONLY | os.O_CREAT | careful, 0o644)
        weakref.finalize(self, os.close, lock)  # closing it gives the lock back
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            got = f"run folder {self.path} is in use by another training"
            raise InputError(got, cure="wait for its end, or choose another --run-dir") from None
        except (ImportError, OSError):  # Windows, or a file system without locks: nothing is held there
            pass
        with _writing(self.path):
            for left in unfinished_files(self.path):
                left.unlink(missing_ok=True)
        vanished = self._held
        self._held = True
        if vanished:
            for name, text in self._texts.items():
                self._write(name, text)
            warn(f"run folder {self.path} vanished and was made again, without the states that were in it")

    def _write(self, name: str, content: str | bytes) -> None:
        """Write one of the folder's files, whole or not at all. Raises InputError: it cannot be written."""
        self._ready()
        if isinstance(content, str):
            self._texts[name] = content
            content = content.encode()
        with _writing(self.path):
            write_atomically(self.path / name, content)

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file, null for NaN and infinity. Raises InputError: it cannot be written."""
        self._write(name, as_json(content, indent=2) + os.linesep)

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        if self.config is not None:
            self.write_json(CONFIG, self.config)
        self._write(METRICS, "")

    def on_resume(self, history: History, held: dict[str, np.ndarray]) -> None:
        """Write the lines of these epochs anew: those that will be trained again are dropped."""
        self._write(METRICS, "".join(_line(epoch, logs) for epoch, logs in history.rows()))

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self._texts[METRICS] += _line(epoch, logs)
        try:
            self._write(METRICS, self._texts[METRICS])  # all of it: no line is ever torn
        except InputError as error:  # a line is not worth the training
            warn(f"{error}; training goes on")

    def save(self, model: Network) -> None:
        """Write the weights, and the epochs' lines again: a full disk may have refused the last."""
        self._ready()
        model.save(self.path / MODEL)
        if METRICS in self._texts:
            self._write(METRICS, self._texts[METRICS])

    def draw(self, history: History, title: str) -> None:
        """Write the curves; a training does not fail because they cannot be drawn."""
        try:
            picture = io.BytesIO()
            history.plot(title, ("training", "test"), ("loss", "accuracy")).savefig(picture, dpi=120)
        except Exception as error:  # matplotlib's own settings, fonts and backends
            warn(f"{self.path / CURVES} cannot be drawn ({shorten(error)})")
        else:
            self._write(CURVES, picture.getvalue())


def _line(epoch: int, logs: dict[str, float]) -> str:
    return as_json({"epoch": epoch, **logs}) + "\n"


def load_run(
    path: str | Path, open_backend: Callable[[str], Backend], allow_nonfinite: bool = False
) -> tuple[dict[str, Any], Sequential]:
    """(configuration, trained model) of a run folder; ``open_backend`` makes the backend for its dtype.
    Raises InputError: no run folder, or one whose files cannot be read.
    """
    folder = require_path("path", path)
    config = read_config(folder)
    _check_config(folder / CONFIG, config)
    file = folder / MODEL
    require_kind("open_backend", open_backend, Callable)
    return config, load_model(file, open_backend(dtype_of(file)), allow_nonfinite)


def _check_config(file: Path, config: dict[str, Any]) -> None:
    """Check what evaluate, predict and draw read; train.py --resume checks all. Raises InputError."""
    from dnn.datasets import DATASETS  # imports Pillow, which a training on MNIST's files does without

    for key in ("dataset", "hold_out"):
        if key not in config:
            raise InputError(f"{file} has no {key!r}, expected what train.py writes")
    with reraise(InputError, f"{file} does not fit:"):
        look_up("dataset", config["dataset"], dict.fromkeys(DATASETS, True))
        if config["hold_out"] is not None:
            natural_number("hold_out", config["hold_out"])


def read_config(path: Path) -> dict[str, Any]:
    """The configuration of a run folder. Raises InputError: no run folder, or it cannot be read."""
    if not path.is_dir():
        raise InputError(f"run folder {path} is not a folder, expected one that train.py wrote")
    file = path / CONFIG
    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise InputError(f"{file} is not a regular file, expected train.py's arguments")
    with reraise((OSError, ValueError, RecursionError), f"{file} cannot be read"):
        config = json.loads(read_text(file))
    if not isinstance(config, dict):
        raise InputError(f"{file} holds no object, expected train.py's arguments")
    return config


def read_unfinished(path: Path) -> dict[str, Any]:
    """The configuration of a run to go on with. Raises InputError: as ``read_config``, or it is finished."""
    config = read_config(path)
    if (path / RESULT).exists():
        raise InputError(f"run {path} is finished, there is nothing to resume; train anew with --run-dir")
    return config
