"""What all parts share: their settings, and the backends that are checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import settings as benchmark
from benchmarks.task import Task, load

from backends import Backend, BackendUnavailable, get_backend

Result = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What all parts share."""

    data_dir: str | None = None  # where MNIST lies; None: DNN_DATA_DIR, else ./data
    device: str = "cuda"  # "cuda" or "cuda:N"

    def on(self, library: str, **options: Any) -> Backend:
        """CuPy or torch on the device that is checked."""
        return get_backend(library, self.device, **options)

    def both(self, found: Result) -> Iterator[tuple[str, Backend]]:
        """CuPy and torch by name; of one that cannot be used, ``found`` says why.

        Raises BackendUnavailable: neither can.
        """
        missing = 0
        for library in ("cupy", "torch"):
            try:
                yield library, self.on(library)
            except BackendUnavailable as error:
                found[library] = str(error)
                missing += 1
        if missing == 2:
            raise BackendUnavailable(f"{found['cupy']}; {found['torch']}")

    def benchmark(self, **changes: Any) -> benchmark.Settings:
        """The lecture's network on all of MNIST, timed five times for an epoch."""
        return benchmark.Settings(data_dir=self.data_dir, updates=3000, chunk=600, **changes)

    def task(self) -> Task:
        """The data of ``benchmark()``."""
        return load(self.benchmark())
