"""One training of ``train.py``: its parts, what it is called, and what is reported when it ends."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from dnn.commands.calibration import sure_from, sureness
from dnn.commands.command_line import called
from dnn.commands.presets import PRESETS
from dnn.commands.run_folder import RESULT, RunFolder
from dnn.distributed import Workers
from dnn.io.notices import say
from dnn.sequential import Sequential
from dnn.training.callback import Callback, Progress
from dnn.training.history import History
from dnn.training.state import TrainingState

if TYPE_CHECKING:  # it imports Pillow
    from dnn.datasets import Dataset

NOT_RECORDED = {"quiet", "resume", "run_dir", "mixed", "worker_timeout"}
"""Options of one command and not of the run: they are not written into config.json."""


@dataclass
class Run:
    """One training, ready to begin."""

    options: argparse.Namespace
    data: Dataset
    x: np.ndarray
    y: np.ndarray
    model: Sequential
    folder: RunFolder | None  # None: the first worker has it
    state: TrainingState | None  # to go on from
    workers: Workers

    @property
    def updates(self) -> int:
        """Updates of the whole training."""
        return int(self.options.epochs * -(-len(self.x) // self.options.batch_size))

    @property
    def place(self) -> Path:
        """The path of the run folder."""
        if self.folder is not None:
            return self.folder.path
        return Path(self.options.resume or self.options.run_dir)

    @property
    def resume_command(self) -> str:
        """The command that continues it."""
        more = ["--data-dir", self.options.data_dir] if self.options.data_dir else []
        return shlex.join([*called(), "--resume", str(self.place), *more])

    @property
    def headline(self) -> str:
        """What is trained, on what, and where it is written."""
        model = self.model
        trained = [layer.output_shape for layer in model.layers if "W" in layer.parameter_shapes()]
        sizes = "-".join("x".join(map(str, shape)) for shape in (model.input_shape, *trained))
        begun = ""
        if self.options.resume:
            state = self.state
            begun = f", from epoch {state.epoch}, update {state.updates}" if state else ", from the start"
        return (f"{self.options.dataset}, {len(self.x)} training examples, {sizes}, {model.backend.name} on "
                f"{model.backend.device}, run folder {self.place}{begun}")  # fmt: skip

    def config(self, halvings: int = 0) -> dict[str, Any]:
        """The content of config.json, where the learning rate has been halved so often."""
        options = {name: value for name, value in vars(self.options).items() if name not in NOT_RECORDED}
        made = {"model": self.model.config(), "optimizer_settings": self.model.optimizer.config()}
        return {**options, "rate_factor": 0.5**halvings, **made}


class FirstUpdate(Callback):
    """Measures the seconds from ``begun``, a time of ``perf_counter``, to the end of the first update."""

    every: int | None = 1
    seconds: float | None = None

    def __init__(self, begun: float) -> None:
        self.begun = begun

    def on_progress(self, progress: Progress) -> None:
        progress.read()  # waits for the device
        self.every = None
        self.seconds = time.perf_counter() - self.begun


def report(run: Run, folder: RunFolder, history: History, seconds: float, first: float | None) -> None:
    """Write the weights, the curves and, last, the result, whose presence says that the run ended; print it.

    Args:
        seconds: of the training; first: to the end of the first update, from the start of the command.
    """
    backend = run.model.backend
    numbers = history.history
    with backend.in_threads(1) if run.options.blocks > 1 else nullcontext():
        described = backend.describe()
    loss = numbers["val_loss"][-1]
    accuracy = numbers["val_accuracy"][-1]
    sure = judge_held_out(run.model, run.data, run.options.hold_out)
    folder.save(run.model)
    folder.draw(history, f"{run.options.dataset}, {backend.name}, test accuracy {accuracy:.4f}")
    folder.write_json(RESULT, {
        "backend_asked": run.options.backend, "backend_used": backend.name, "device": str(backend.device),
        "describe": described, "updates": run.updates, "seconds": seconds, "test_loss": loss,
        "seconds_in_sums": run.workers.seconds,  # over workers
        "seconds_to_first_update": first,  # with all that is loaded and compiled
        # The median epoch's: the first one may also compile.
        "ms_per_update": 1e3 * median(numbers["seconds"]) * run.options.epochs / run.updates,
        "test_accuracy": accuracy, **sure,
    })  # fmt: skip
    if not run.options.quiet:
        for line in aim_lines(run.options.preset, numbers["seconds"], numbers["val_accuracy"]):
            say(line)
    say(f"test accuracy {accuracy:.4f}  test loss {loss:.4f}  {run.updates} updates  "
        f"{seconds:.1f} s  {backend.name}")  # fmt: skip


def aim_lines(preset: str | None, seconds: Sequence[float], accuracies: Sequence[float]) -> Iterator[str]:
    """For each test accuracy that a preset aims at, when it was first seen: from the epochs' seconds."""
    for aim in PRESETS[preset].aims if preset is not None else ():
        epoch = next((i for i, accuracy in enumerate(accuracies, 1) if accuracy >= aim), None)
        when = "not reached" if epoch is None else f"after {sum(seconds[:epoch]):.1f} s, epoch {epoch}"
        yield f"{100 * aim:.1f} % test accuracy: {when}"


def judge_held_out(model: Sequential, data: Dataset, held: int) -> dict[str, Any]:
    """The accuracy on the last ``held`` training images, and from which probability on answers are sure."""
    if not held:
        return {}
    p = model.predict(data.x_train[-held:])
    y = data.y_train[-held:]
    least = sure_from(p, y)
    found = {"right": None, "refused": None} if least is None else sureness(p, y, least)
    right = float((p.argmax(axis=1) == y).mean())
    return {"held_out_accuracy": right, "sure_from": least, "sure": found}
