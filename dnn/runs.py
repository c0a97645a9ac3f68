"""A run folder: what was asked, what happened in each epoch, the trained weights, and the result.

config.json         the arguments, before anything runs
metrics.jsonl       a line an epoch, written as it ends
model.safetensors   the weights
result.json         asked and used backend, its description, updates, seconds, test loss and accuracy
curves.png          loss and accuracy over the epochs
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends import Backend, InputError
from dnn.callbacks import Callback, History
from dnn.checkpoints import dtype_of, load_model, save_model
from dnn.files import write_atomically
from dnn.model import Sequential

CONFIG, METRICS, MODEL = "config.json", "metrics.jsonl", "model.safetensors"
RESULT, CURVES = "result.json", "curves.png"


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"run folder {path} cannot be written ({error.strerror}), expected a folder where files can be "
        f"made; choose another --run-dir"
    )


def require_new(path: Path) -> None:
    """Refuse a run folder that is there and not empty, without making anything.

    Raises:
        InputError: there is something already, or its place cannot be looked into.
    """
    try:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(
                f"run folder {path} exists and is not an empty folder, expected a new one; "
                f"choose another --run-dir or remove it"
            )
    except OSError as error:
        raise _unwritable(path, error) from None


class RunFolder(Callback):
    """A new folder for one training; as a callback it writes each epoch's line.

    Args:
        path: must not exist, or be an empty folder.

    Raises:
        InputError: there is something in it already, or it cannot be written; nothing was changed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        require_new(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write one of the folder's JSON files, whole or not at all."""
        text = json.dumps(content, indent=2) + os.linesep
        write_atomically(self.path / name, text.encode())

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        with open(self.path / METRICS, "a", encoding="utf-8") as file:
            file.write(json.dumps({"epoch": epoch, **logs}) + "\n")

    def save(self, model: Sequential) -> None:
        """Write the weights."""
        save_model(model, self.path / MODEL)

    def draw(self, history: History, title: str) -> None:
        """Write the curves."""
        draw_curves(history, self.path / CURVES, title)


def load_run(path: str | Path, open_backend: Callable[[str], Backend]) -> tuple[dict[str, Any], Sequential]:
    """(configuration, trained model) of a run folder.

    Args:
        open_backend: makes the backend for the dtype of the checkpoint.

    Raises:
        InputError: no run folder, or one whose files cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"run folder {path} is not a folder, expected one that train.py wrote")
    try:
        config = json.loads((path / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path / CONFIG} cannot be read ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"{path / CONFIG} holds no object, expected train.py's arguments")
    model = load_model(path / MODEL, open_backend(dtype_of(path / MODEL)))
    return config, model


def draw_curves(history: History, path: Path, title: str) -> None:
    """Loss and accuracy over the epochs, training and test, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=10)
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label, colour in (
            (name, "training", "tab:blue"),
            (f"val_{name}", "test", "tab:red"),
        ):
            if key in history.history:
                axes.plot(history.epoch, history.history[key], "o-", ms=3, color=colour, label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel("mean loss" if name == "loss" else "share of right predictions")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=120)
