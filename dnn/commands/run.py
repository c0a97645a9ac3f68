"""One training of ``train.py``: its data, model and folder, and the report at its end."""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from dnn.checkpoints import weights_digest
from dnn.commands.calibration import confidence_threshold
from dnn.commands.command_line import program_command, quote
from dnn.commands.presets import PRESETS
from dnn.commands.run_folder import RESULT_FILE, RunFolder
from dnn.commands.train_options import OPTIONS
from dnn.datasets import Dataset
from dnn.distributed import Workers
from dnn.io.notices import print_line
from dnn.sequential import Sequential
from dnn.training.blocks import limit_threads
from dnn.training.callback import Callback, Progress
from dnn.training.history import History
from dnn.training.state import TrainingState
from dnn.typing import Json


@dataclass
class Run:
    """A training that is ready to start."""

    options: argparse.Namespace
    data: Dataset
    x: np.ndarray
    y: np.ndarray
    model: Sequential
    folder: RunFolder | None  # None in all workers but the first
    state: TrainingState | None  # resume from it; None: from the start
    workers: Workers

    @property
    def updates(self) -> int:
        """Number of updates in all epochs."""
        return int(self.options.epochs * -(-len(self.x) // self.options.batch_size))

    @property
    def place(self) -> Path:
        """Path of the run folder."""
        if self.folder is not None:
            return self.folder.path
        return Path(self.options.resume or self.options.run_dir)

    @property
    def resume_command(self) -> str:
        """The command line that resumes this run."""
        more = ["--data-dir", self.options.data_dir] if self.options.data_dir else []
        return " ".join(map(quote, [*program_command(), "--resume", str(self.place), *more]))

    @property
    def headline(self) -> str:
        """One line with the data, the network, the backend and the run folder."""
        model = self.model
        trained = [layer.output_shape for layer in model.layers if "W" in layer.parameter_shapes()]
        sizes = "-".join("x".join(map(str, shape)) for shape in (model.input_shape, *trained))
        begun = ""
        if self.options.resume:
            state = self.state
            begun = f", from epoch {state.epoch}, update {state.updates}" if state else ", from the start"
        return (f"{self.options.dataset}, {len(self.x)} training examples, {sizes}, {model.backend.name} on "
                f"{model.backend.device}, run folder {self.place}{begun}")  # fmt: skip

    def config(self) -> Json:
        """Return the content of config.json."""
        options = {name: value for name, value in vars(self.options).items() if OPTIONS[name].recorded}
        return {
            **options,
            "classes": self.data.class_names,
            "model": self.model.config(),
            "optimizer_settings": self.model.optimizer.config(),
        }


class FirstUpdateTimer(Callback):
    """Measures the seconds from ``begun``, a ``perf_counter`` time, to the end of the first update."""

    every: int | None = 1
    seconds: float | None = None

    def __init__(self, begun: float) -> None:
        self.begun = begun

    def on_progress(self, progress: Progress) -> None:
        progress.read()  # waits for the device
        self.every = None
        self.seconds = time.perf_counter() - self.begun


def report(run: Run, folder: RunFolder, history: History, seconds: float, first: float | None) -> None:
    """Write the weights, the curves and the result, and print the result.

    result.json is written last, because its presence marks the run as finished.

    Args:
        seconds: duration of the training.
        first: seconds from the start of the command to the end of the first update.
    """
    backend = run.model.backend
    numbers = history.history
    with limit_threads(backend, run.options.blocks):
        described = backend.describe()
    loss = numbers["val_loss"][-1]
    accuracy = numbers["val_accuracy"][-1]
    sure = evaluate_held_out(run.model, run.data, run.options.hold_out)
    digest = weights_digest(run.model)
    folder.save(run.model)
    folder.draw(history, f"{run.options.dataset}, {backend.name}, test accuracy {accuracy:.4f}")
    folder.write_json(RESULT_FILE, {
        "backend_asked": run.options.backend, "backend_used": backend.name, "device": str(backend.device),
        "describe": {**described, "update_forms": ", ".join(sorted(run.model.update_forms))},
        "updates": run.updates, "seconds": seconds, "test_loss": loss,
        "seconds_to_first_update": first,  # includes loading and compiling
        # From the median epoch, because the first one may include compilation.
        "ms_per_update": 1e3 * median(numbers["seconds"]) * run.options.epochs / run.updates,
        "test_accuracy": accuracy, "weights_sha256": digest, **sure,
    })  # fmt: skip
    if not run.options.quiet:
        for line in target_lines(run.options.preset, numbers["seconds"], numbers["val_accuracy"]):
            print_line(line)
    print_line(f"test accuracy {accuracy:.4f}  test loss {loss:.4f}  {run.updates} updates  "
        f"{seconds:.1f} s  {backend.name}  weights {digest}")  # fmt: skip


def target_lines(preset: str | None, seconds: Sequence[float], accuracies: Sequence[float]) -> Iterator[str]:
    """Yield a line for each target accuracy of a preset: the seconds and the epoch that first reached it."""
    for target in PRESETS[preset].target_accuracies if preset is not None else ():
        epoch = next((i for i, accuracy in enumerate(accuracies, 1) if accuracy >= target), None)
        when = "not reached" if epoch is None else f"after {sum(seconds[:epoch]):.1f} s, epoch {epoch}"
        yield f"{100 * target:.1f} % test accuracy: {when}"


def evaluate_held_out(model: Sequential, data: Dataset, n: int) -> Json:
    """Return the accuracy on the last ``n`` training images and the confidence threshold they give."""
    if not n:
        return {}
    p = model.predict(data.x_train[-n:])
    y = data.y_train[-n:]
    right = float((p.argmax(axis=1) == y).mean())
    return {"held_out_accuracy": right, "sure_from": confidence_threshold(p, y)}
