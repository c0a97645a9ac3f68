"""Settings and types shared by all parts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from backends import Backend, BackendUnavailable, get_backend

LIBRARIES = ("cupy", "torch")
Row = dict[str, Any]
"""A result as JSON values. A row fails if it has a "reason", or if "holds" is False."""
NamedRows = Iterator[tuple[str, Row]]


def row_holds(row: Row) -> bool:
    """Return whether a row passed."""
    return "reason" not in row and bool(row.get("holds", True))


@dataclass(frozen=True)
class CheckOptions:
    """Settings shared by all parts."""

    data_dir: str | None = None  # data folder with MNIST; None: DNN_DATA_DIR, else ./data
    device: str = "cuda"

    def backend(self, library: str) -> Backend:
        """Return the backend of a library (CuPy or torch) on the checked device."""
        return get_backend(library, self.device)

    def each_library(self, check: Callable[[str, Backend], NamedRows]) -> NamedRows:
        """Yield the rows of the check for each library, or the reason why the library cannot run."""
        for library in LIBRARIES:
            try:
                yield from check(library, self.backend(library))
            except BackendUnavailable as error:
                yield library, {"reason": str(error)}
