"""Saving a training while it runs: states in a folder, the last few kept and the best, each whole or not
there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dnn.training.callback import Callback, Progress
from dnn.training.state import StateError, TrainingState, read_state, write_state
from dnn.validation.settings import positive_integer

PATTERN = "state-*.safetensors"


def _file(folder: Path, epoch: int, updates: int) -> Path:
    return folder / f"state-{epoch:05d}-{updates:07d}.safetensors"


def best_epoch(history: dict[str, list[float]]) -> int | None:
    """The epoch with the least validation loss (or training loss); the first of equals."""
    losses = history.get("val_loss") or history.get("loss")
    return None if not losses else 1 + min(range(len(losses)), key=losses.__getitem__)


class TrainingCheckpoint(Callback):
    """Writes a state after each epoch, and every so many updates within it.

    A state that cannot be written (a full disk, a folder that vanished) is told on stderr; those that are
    there stay, and training goes on.

    Args:
        folder: is there.
        every: updates; None: after each epoch only.
        keep: how many of the last are kept, besides the best epoch's.
    """

    def __init__(self, folder: Path, every: int | None = None, keep: int = 3) -> None:
        self.folder = folder
        self.every = None if every is None else positive_integer("checkpoint_every", every)
        self.keep = positive_integer("keep", keep)
        self._failed = ""  # why the last write failed

    def on_progress(self, progress: Progress) -> None:
        if progress.updates < progress.updates_per_epoch:  # else it is saved after the validation
            self.save(progress.take())

    def on_epoch_saved(self, take: Callable[[], TrainingState]) -> None:
        self.save(take())

    def save(self, state: TrainingState) -> bool:
        """Write it and remove what is too old; False: it could not be written."""
        path = _file(self.folder, state.epoch, state.updates)
        try:
            write_state(state, path)
            self._prune(state)
        except OSError as error:
            why = error.strerror or str(error)
            if why != self._failed:  # said once, not with every state of a night
                print(
                    f"WARNING: training state {path} cannot be written ({why}); older ones are kept, "
                    f"training goes on",
                    file=sys.stderr, flush=True,
                )  # fmt: skip
            self._failed = why
            return False
        if self._failed:
            print(f"training states can be written again: {path}", file=sys.stderr, flush=True)
            self._failed = ""
        return True

    def _prune(self, state: TrainingState) -> None:
        best = best_epoch(state.history)
        kept = set(sorted(self.folder.glob(PATTERN))[-self.keep :])
        if best is not None:
            kept.add(_file(self.folder, best + 1, 0))
        for path in self.folder.glob(PATTERN):
            if path not in kept:
                path.unlink(missing_ok=True)


def latest_state(folder: Path) -> TrainingState:
    """The furthest state of a folder that can be read; what cannot is told on stderr and passed over.

    Raises:
        StateError: there is none.
    """
    for path in sorted(folder.glob(PATTERN), reverse=True):
        try:
            return read_state(path)
        except StateError as error:
            print(f"WARNING: {error}; an older one is tried", file=sys.stderr, flush=True)
    raise StateError(f"folder {folder} holds no training state that can be read, expected {PATTERN}")


def last_finite_state(folder: Path) -> TrainingState | None:
    """The furthest readable state of a run whose weights are all finite; None: there is none."""
    for path in sorted(folder.glob(PATTERN), reverse=True):
        try:
            state = read_state(path)
        except StateError:
            continue
        if all(np.all(np.isfinite(a)) for name, a in state.arrays.items() if name.startswith("value ")):
            return state
    return None
