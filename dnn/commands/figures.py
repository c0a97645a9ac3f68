"""Pictures that go straight into files: no window, no state of pyplot's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure to draw on, written when the ``with`` block ends.

    Args:
        path: its ending says the format: .png, .svg or .pdf.
        width, height: in inches, of 120 pixels each.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    yield figure
    figure.savefig(path)
