"""What all parts share: their settings, and the backends that are checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import settings as benchmark
from benchmarks.task import Task, load

from backends import Backend, get_backend

LIBRARIES = ("cupy", "torch")
Row = dict[str, Any]
"""What was found, as JSON values. A row fails if it has a "reason", or "holds" is False."""
Rows = Iterator[tuple[str, Row]]


def row_holds(row: Row) -> bool:
    """Whether nothing is wrong in a row."""
    return "reason" not in row and bool(row.get("holds", True))


@dataclass(frozen=True)
class Settings:
    """What all parts share."""

    data_dir: str | None = None  # where MNIST lies; None: DNN_DATA_DIR, else ./data
    device: str = "cuda"  # "cuda" or "cuda:N"

    def on(self, library: str, **options: Any) -> Backend:
        """CuPy or torch on the device that is checked."""
        return get_backend(library, self.device, **options)

    def task(self) -> Task:
        """The lecture's network on all of MNIST."""
        return load(benchmark.Settings(data_dir=self.data_dir))
