"""TrainingCheckpoint: save training states in a folder atomically, and keep the latest and the best."""

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from math import isnan
from pathlib import Path
from typing import Any

from backends.errors import reraise
from dnn.io import safetensors as tensor_files
from dnn.io.notices import warn
from dnn.training.callback import Callback, Progress
from dnn.training.state import MADE_WITH, StateError, TrainingState
from dnn.validation.settings import natural_number, positive_integer, require, require_kind, require_path

FORMAT = "array-api-dnn-training"
VERSION = 1
FILE_PATTERN = re.compile(r"state-\d{5,}-\d{7,}\.safetensors")  # other files are never touched


def _state_path(folder: Path, epoch: int, updates: int) -> Path:
    return folder / f"state-{epoch:05d}-{updates:07d}.safetensors"


def _position(path: Path) -> tuple[int, int]:
    _, epoch, updates = path.stem.split("-")
    return int(epoch), int(updates)


def state_files(folder: Path) -> list[Path]:
    """Return the files in a folder with the name of a training state, the latest last."""
    paths = folder.glob("state-*") if os.path.isdir(folder) else ()  # its name may be too long for glob
    return sorted((path for path in paths if FILE_PATTERN.fullmatch(path.name)), key=_position)


def best_epoch(history: dict[str, list[float]]) -> int | None:
    """Return the epoch with the lowest validation loss (else training loss); the first of ties, NaN last."""
    losses = history.get("val_loss") or history.get("loss") or []
    return None if not losses else 1 + min(range(len(losses)), key=lambda i: (isnan(losses[i]), losses[i]))


def write_state(state: TrainingState, path: Path) -> None:
    """Write a state atomically. Raises OSError: the file cannot be written."""
    past = require_kind("state", state, TrainingState).history
    about = {"epoch": state.epoch, "updates": state.updates, "facts": state.facts, "history": past}
    tensor_files.write(require_path("path", path), FORMAT, VERSION, about, state.arrays)


def read_state(path: Path) -> TrainingState:
    """Read a file of ``write_state``. Raises StateError: missing, corrupt, or of another kind or version."""
    path = require_path("path", path)
    about, arrays = tensor_files.read(path, FORMAT, VERSION, "training state", StateError)
    kinds = TypeError, ValueError, OverflowError
    with reraise(kinds, f"training state {path} is inconsistent:", error_type=StateError):
        state = TrainingState(**about, arrays=arrays)
        positive_integer("epoch", state.epoch)
        natural_number("updates", state.updates)
        require_kind("facts", state.facts, dict)
        past: dict[str, Any] = require_kind("history", state.history, dict)
        for name, values in past.items():
            fits = isinstance(values, list) and all(type(value) in (int, float) for value in values)
            require(fits, f"history {name!r}", values, "a list of numbers")
            past[name] = [float(value) for value in values]
        if len({len(values) for values in state.history.values()}) > 1:
            raise ValueError("histories are of different lengths")
    return state


class TrainingCheckpoint(Callback):
    """Save a training state after each epoch, and optionally within epochs.

    If a state cannot be written (full disk, missing folder), a warning is logged, earlier states remain, and
    training continues. A state with NaN or infinity is not written, so the last finite one remains.

    Args:
        folder: an existing folder.
        every: updates between two states within an epoch; None: after each epoch only.
        max_to_keep: number of latest states to keep, besides the best epoch's. Only readable states of this
            training are counted and removed.
    """

    first_worker_only = True

    def __init__(self, folder: Path, every: int | None = None, max_to_keep: int = 3) -> None:
        self.folder = require_path("folder", folder)
        self.every = None if every is None else positive_integer("every", every)
        self.max_to_keep = positive_integer("max_to_keep", max_to_keep)
        self._failed = ""  # why the last write failed
        self._saved: list[Path] | None = None  # this training's states, the oldest first

    def on_progress(self, progress: Progress) -> None:
        if progress.updates < progress.updates_per_epoch:  # else it is saved after the validation
            self.save(progress.take_state())

    def on_epoch_saved(self, take_state: Callable[[], TrainingState]) -> None:
        self.save(take_state())

    def save(self, state: TrainingState) -> bool:
        """Write a state and remove old ones. Return whether it was written: not if it is not finite."""
        if not state.is_finite:
            return False
        path = _state_path(self.folder, state.epoch, state.updates)
        try:
            self._write(state, path)
            self._prune(state)
        except OSError as error:
            before = self._failed
            self._failed = error.strerror or str(error)
            if self._failed != before:  # warn once, not for every state
                why = f"({self._failed}); older states remain, training continues"
                warn(f"training state {path} cannot be written {why}")
            return False
        if self._failed:
            warn(f"training states can be written again: {path}")
            self._failed = ""
        return True

    def remove_old_states(self, state: TrainingState) -> None:
        """Remove old states after a training that resumed from ``state`` and saved nothing.

        A training that was killed may have left more than ``max_to_keep``.
        """
        if self._saved is None:
            with contextlib.suppress(OSError):
                self._prune(state)

    def _own_states(self, state: TrainingState) -> list[Path]:
        """Return the states of this training, the oldest first; the folder is searched once."""
        if self._saved is None:
            self._saved = [path for path in state_files(self.folder) if _is_same_training(path, state)]
        return self._saved

    def _write(self, state: TrainingState, path: Path) -> None:
        """Write a state. If the disk is full, remove the oldest of at least two states and try again."""
        mine = self._own_states(state)
        try:
            write_state(state, path)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or len(mine) < 2:
                raise
            mine.pop(0).unlink(missing_ok=True)
            write_state(state, path)
        self._saved = sorted({*mine, path}, key=_position)

    def _prune(self, state: TrainingState) -> None:
        mine = self._own_states(state)
        best = best_epoch(state.history)
        of_best = None if best is None else _state_path(self.folder, best + 1, 0)
        for path in mine[: -self.max_to_keep]:
            if path != of_best:
                path.unlink(missing_ok=True)
                mine.remove(path)


def _readable_states(paths: list[Path]) -> Iterator[TrainingState]:
    """Yield the readable states, the last first, and warn about the others."""
    for path in reversed(paths):
        try:
            yield read_state(path)
        except StateError as error:
            warn(f"{error}; trying an older one")


def _is_same_training(path: Path, state: TrainingState) -> bool:
    """Whether a file is a state of the same training; optimizer and backend may differ."""
    try:
        other = read_state(path)
    except StateError:
        return False
    known = state.facts.keys() - {"optimizer", MADE_WITH}
    return all(other.facts.get(name) == state.facts[name] for name in known)


def latest_state(folder: Path) -> TrainingState:
    """Return the latest readable state in a folder, and warn about later ones. Raises StateError: none."""
    state = next(_readable_states(state_files(require_path("folder", folder))), None)
    if state is None:
        raise StateError(f"folder {folder} holds no training state that can be read", "state-*.safetensors")
    return state
