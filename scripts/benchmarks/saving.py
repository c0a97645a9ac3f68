"""What saving costs a training: in turn ``fit`` without checkpoints, with one after each epoch, and with one
every 100 updates too.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _tables import columns

from backends import get_backend
from benchmarks.ours import build
from benchmarks.quartiles import Spread
from benchmarks.ratios import ratio, verdict
from benchmarks.settings import Settings
from benchmarks.task import load
from dnn.callbacks.monitor import TerminateOnNaN
from dnn.callbacks.training_checkpoint import TrainingCheckpoint
from dnn.training.callback import Callback

EVERY = 100
BOUNDS = {"each epoch": 1.03, f"every {EVERY} updates": 1.15}
"""How much longer a training may take with saving than without."""


def measure(
    name: str,
    settings: Settings,
    rotations: int,
    folder: Path,
    told: Callable[[str], object] = lambda line: None,
) -> dict[str, list[float]]:
    """Seconds of whole fits, an entry a rotation: "never", "each epoch", "every 100 updates".

    Args:
        name: of the backend.
        settings: ``updates`` are rounded to whole epochs, of which there is at least one.
        folder: where states are written; all of them are removed.
    """
    task = load(settings)
    backend = get_backend(name)
    epochs = max(1, settings.updates // task.updates_an_epoch)

    def fit(saving: list[Callback]) -> float:
        model = build(task, backend)
        start = time.perf_counter()
        # TerminateOnNaN as in train.py: all trainings then pause equally often, saving or not.
        watchers = [TerminateOnNaN(), *saving]
        model.fit(task.x, task.y, batch_size=settings.batch, epochs=epochs, callbacks=watchers, verbose=0)
        return time.perf_counter() - start

    seconds: dict[str, list[float]] = {way: [] for way in ("never", *BOUNDS)}
    fit([])  # compiles, and fills the caches
    for rotation in range(1, rotations + 1):
        for (way, taken), every in zip(seconds.items(), (None, None, EVERY), strict=True):
            with tempfile.TemporaryDirectory(prefix=".saving-", dir=folder) as place:
                taken.append(fit([] if way == "never" else [TrainingCheckpoint(Path(place), every)]))
            told(f"rotation {rotation}/{rotations}  {name}, {way}: {taken[-1]:.2f} s for {epochs} epochs")
    return seconds


def cost(seconds: dict[str, list[float]]) -> dict[str, Spread]:
    """Seconds with saving over seconds without, as ratios within a rotation."""
    return {way: ratio(taken, seconds["never"]) for way, taken in seconds.items() if way != "never"}


def as_json(name: str, seconds: dict[str, list[float]]) -> dict[str, Any]:
    """The measurements and what they come to."""
    return {
        "name": name,
        "seconds": seconds,
        "ratios": {way: spread._asdict() for way, spread in cost(seconds).items()},
        "bounds": BOUNDS,
    }


def table(seconds: dict[str, list[float]]) -> str:
    """How long trainings take that save, beside one that never does."""
    rows = [["never", f"{statistics.median(seconds['never']):.2f}", "", "", ""]]
    for way, found in cost(seconds).items():
        median, low, high = (f"{100 * (value - 1):+.1f} %" for value in found)
        taken, bound = f"{statistics.median(seconds[way]):.2f}", BOUNDS[way]
        aim = f"under {100 * (bound - 1):.0f} %"
        rows.append([way, taken, f"{median} ({low} to {high})", aim, verdict(found.value < bound)])
    return columns(["a state is saved", "s", "time more", "aim", ""], rows, ruled=True)
