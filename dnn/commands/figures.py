"""Pictures that go straight into files: no window, no state of pyplot's."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backends.errors import InputError, reraise, short_repr
from dnn.io.atomic_files import write_atomically

FORMATS = (".png", ".svg", ".pdf")


@contextmanager
def picture(path: Path, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure to draw on, written when the ``with`` block ends.

    Args:
        path: its ending says the format: .png, .svg or .pdf.
        width, height: in inches, of 120 pixels each.
    Raises InputError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    yield figure
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix.removeprefix("."))
    with reraise(OSError, f"picture {path} cannot be written", "a file in a folder that exists"):
        write_atomically(path, content.getbuffer())


def require_picture_path(argument: str, path: Path) -> Path:
    """Return the path. Raises InputError: its ending names no format, or its folder does not exist."""
    if path.suffix not in FORMATS:
        raise InputError(
            f"{argument} is {short_repr(str(path))}, expected a file that ends in {', '.join(FORMATS)}"
        )
    if not os.path.isdir(path.parent):
        raise InputError(f"{argument} is {short_repr(str(path))}, expected a file in a folder that exists")
    return path
