"""TrainingCheckpoint: save training states in a folder atomically, and keep the latest and the best."""

import contextlib
import errno
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from backends.errors import InputError, reraise
from dnn.io import safetensors as tensor_files
from dnn.io.atomic_files import make_folder
from dnn.io.notices import warn
from dnn.settings.checks import (
    Count,
    natural_number,
    positive_integer,
    positive_or_none,
    require_kind,
    require_path,
)
from dnn.training.callback import CheckedCallback, Progress, TakeState
from dnn.training.history import History
from dnn.training.state import MADE_WITH, StateError, TrainingState, comparable

Facts = dict[str, Any]
FORMAT = "array-api-dnn-training"
VERSION = 3
HISTORY_PREFIX = "history: "  # of the arrays of a file that are columns of the history
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


def best_epoch(state: TrainingState) -> int:
    """Return the epoch with the lowest validation loss (else training loss); the first of ties, NaN last.

    0: no epoch has ended.
    """
    losses = state.history.get("val_loss", state.history.get("loss", np.empty(0)))
    if not len(losses):
        return 0
    first = state.epoch - len(losses)
    return first + int(np.argmin(np.where(np.isnan(losses), np.inf, losses)))


def write_state(state: TrainingState, path: Path, check: Callable[[], None] = lambda: None) -> None:
    """Write a state atomically, with this ``check`` (``write_atomically``). Raises OSError: it cannot."""
    past = require_kind("state", state, TrainingState).history
    content = {"epoch": state.epoch, "updates": state.updates, "facts": state.facts, "history": [*past]}
    columns = {HISTORY_PREFIX + name: np.asarray(values, np.float64) for name, values in past.items()}
    path = require_path("path", path)
    tensor_files.write(path, FORMAT, VERSION, content, {**state.arrays, **columns}, check)


def read_state(path: Path) -> TrainingState:
    """Read a file of ``write_state``. Raises StateError: missing, corrupt, or of another kind or version."""
    path = require_path("path", path)
    content, arrays = tensor_files.read(path, FORMAT, VERSION, "training state", StateError)
    kinds = KeyError, TypeError, ValueError, OverflowError
    with reraise(kinds, f"training state {path} is inconsistent:", error_type=StateError):
        names = require_kind("history", content["history"], list)
        history = {name: arrays.pop(HISTORY_PREFIX + name) for name in names}
        state = TrainingState(**{**content, "history": history}, arrays=arrays)
        positive_integer("epoch", state.epoch)
        natural_number("updates", state.updates)
        require_kind("facts", state.facts, dict)
        if any(column.dtype != np.float64 or column.ndim != 1 for column in history.values()):
            raise ValueError("a history is not a list of numbers")
    return state


class TrainingCheckpoint(CheckedCallback):
    """Save a training state after each epoch, and optionally within epochs.

    If a state cannot be written (full disk, NaN or infinity), a warning is logged, earlier states remain, and
    training continues.

    A training that is resumed from an older state renames the later states of the training it left: from
    ``state-*.safetensors`` to ``state-*.abandoned``, instead of an earlier file of this name. ``read_state``
    reads them; ``latest_state`` finds only the new training's.

    Args:
        folder: without states of other trainings; created if it does not exist.
        every: updates between two states within an epoch; None: after each epoch only.
        max_to_keep: number of latest states to keep, besides the best epoch's. Unreadable states are neither
            counted nor removed.
        check: called before each change of the folder, and as in ``write_atomically``.
    Raises InputError: when training begins, the folder cannot be written or holds states of another training.
    """

    folder: Annotated[Path, require_path]
    every: Annotated[int | None, positive_or_none] = None
    max_to_keep: Count = 3
    check: Callable[[], None] = lambda: None

    first_worker_only = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._is_own: dict[Path, bool] = {}  # file -> True: a state of this training; False: unreadable
        self._facts: Facts | None = None  # of a training whose folder had states when it began
        self._start: tuple[int, int] | None = None  # position of a training that begins without a state

    def on_train_begin(self, first_epoch: int, epochs: int, updates_per_epoch: int) -> None:
        self._is_own = {}
        self._facts = None
        self._start = first_epoch, 0

    def on_resume(self, history: History, arrays: dict[str, np.ndarray]) -> None:
        self._start = None

    def on_train_ready(self, read_facts: Callable[[], Facts]) -> None:
        self.check()
        with reraise(OSError, f"folder {self.folder} cannot be written", cure="choose another folder"):
            make_folder(self.folder)
        paths = state_files(self.folder)
        for path in paths:
            if self._start is not None and _position(path) > self._start:
                raise self._other_training(path)
        if paths:
            facts = read_facts()
            self._own_states(facts)
            self._facts = facts

    def _other_training(self, path: Path) -> InputError:
        got = f"folder {self.folder} has {path.name} of another training"
        cure = "choose another folder, or continue that training with resume=latest_state(folder)"
        return InputError(got, "a folder for this training alone", cure)

    def on_progress(self, progress: Progress) -> None:
        if progress.updates < progress.updates_per_epoch:  # else it is saved after the validation
            self.save(progress.take_state())

    def on_epoch_saved(self, take_state: TakeState) -> None:
        self.save(take_state())

    def on_train_end(self) -> None:
        """Remove old states of earlier processes, which were killed before they removed them."""
        states = [] if self._facts is None else self._own_states(self._facts)
        if len(states) > self.max_to_keep:
            with contextlib.suppress(OSError, StateError):  # the training is complete without it
                self._remove_old(states, read_state(states[-1]))

    def save(self, state: TrainingState) -> bool:
        """Write a state and remove old ones. Return whether it was written.

        Raises InputError: the folder has states of another training.
        """
        path = _state_path(self.folder, state.epoch, state.updates)
        try:
            if not state.is_finite:
                raise OSError("it holds NaN or infinity")
            self._write(state, path)
        except OSError as error:
            got = f"training state {path} cannot be written ({error.strerror or error})"
            warn(f"{got}; older states remain, training continues")
            return False
        return True

    def _own_states(self, facts: Facts) -> list[Path]:
        """Return the states of this training, the oldest first. Raises InputError as ``save``."""
        self.check()
        paths = state_files(self.folder)
        for path in paths:
            if path not in self._is_own:
                try:
                    found = read_state(path).facts
                except StateError:
                    self._is_own[path] = False
                    continue
                if _known_facts(found) != _known_facts(facts):
                    raise self._other_training(path)
                self._is_own[path] = True
        return [path for path in paths if self._is_own[path]]

    def _write(self, state: TrainingState, path: Path) -> None:
        """Write a state and remove old ones.

        If the disk is full, remove the oldest of at least two states and try again.
        """
        states = self._own_states(state.facts)
        while states and _position(states[-1]) > _position(path):
            later = states.pop()
            later.replace(later.with_suffix(".abandoned"))
            warn(f"{later} is of a training that was left for an older state: renamed to .abandoned")
        try:
            write_state(state, path, self.check)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or len(states) < 2:
                raise
            states[0].unlink(missing_ok=True)
            write_state(state, path, self.check)
        self._is_own[path] = True
        self._remove_old(self._own_states(state.facts), state)

    def _remove_old(self, states: list[Path], latest: TrainingState) -> None:
        """Keep the latest states and the best epoch's."""
        of_best = _state_path(self.folder, best_epoch(latest) + 1, 0)
        for old in states[: -self.max_to_keep]:
            if old != of_best:
                old.unlink(missing_ok=True)


def _known_facts(facts: Facts) -> Facts:
    """Return the facts that all states of a training share; optimizer and backend may change on resume."""
    return {name: fact for name, fact in comparable(facts).items() if name not in ("optimizer", MADE_WITH)}


def latest_state(folder: Path) -> TrainingState:
    """Return the latest readable state in a folder, and warn about later ones. Raises StateError: none."""
    for path in reversed(state_files(require_path("folder", folder))):
        try:
            return read_state(path)
        except StateError as error:
            warn(f"{error}; trying an older one")
    raise StateError(f"folder {folder} holds no training state that can be read", "state-*.safetensors")
