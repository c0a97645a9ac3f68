"""What all parts share: their settings, the backends that are checked, the lecture's task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.settings import Settings as BenchmarkSettings
from benchmarks.task import Task, load

from backends import Backend, get_backend

Result = dict[str, Any]
WIDTHS = (784, 500, 500, 10)


@dataclass(frozen=True)
class Settings:
    """What all parts share.

    Args:
        data_dir: where MNIST lies; None: DNN_DATA_DIR, else ./data.
        device: "cuda" or "cuda:N".
    """

    data_dir: str | None = None
    device: str = "cuda"


def on(library: str, settings: Settings, **options: Any) -> Backend:
    """CuPy or torch on the device that is checked."""
    return get_backend(library, settings.device, **options)


def task_of(settings: Settings) -> Task:
    """The lecture's network on all of MNIST."""
    return load(BenchmarkSettings(data_dir=settings.data_dir))
